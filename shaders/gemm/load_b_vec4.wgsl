// b in vec4s, whose first addresses are multiples of four.

@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;

fn load_vec4_b(at: OffsetB) -> vec4<f32> {
    return b[at / 4u];
}

fn holds_b(at: OffsetB) -> bool {
    return true;
}
