// The factor is known when the plan is made.

override FACTOR: f32;

fn factor() -> f32 {
    return FACTOR;
}
