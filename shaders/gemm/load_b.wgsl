// b, element by element.

@group(0) @binding(2) var<storage, read> b: array<f32>;

fn load_b(at: OffsetB) -> f32 {
    return b[at];
}
