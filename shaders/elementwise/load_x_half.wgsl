// The first input in half precision, element by element.

@group(0) @binding(1) var<storage, read> x: array<u32>;

fn load_x(at: u32) -> f32 {
    return half_in(x[at / 2u], at);
}
