// b in half precision, in vec4s whose first addresses are multiples of four.

@group(0) @binding(2) var<storage, read> b: array<vec2<u32>>;

fn load_vec4_b(at: OffsetB) -> vec4<f32> {
    return of_halves(b[at / 4u]);
}

fn holds_b(at: OffsetB) -> bool {
    return true;
}
