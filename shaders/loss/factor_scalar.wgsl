// The factor is a scalar of the step.

override FACTOR: u32;   // its number

fn factor() -> f32 {
    return scalar(FACTOR);
}
