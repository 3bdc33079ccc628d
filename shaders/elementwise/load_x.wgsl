// The first input, element by element.

@group(0) @binding(1) var<storage, read> x: array<f32>;

fn load_x(at: u32) -> f32 {
    return x[at];
}
