// a in half precision, in vec4s whose first addresses are multiples of four.

@group(0) @binding(1) var<storage, read> a: array<vec2<u32>>;

fn load_vec4_a(at: OffsetA) -> vec4<f32> {
    return of_halves(a[at / 4u]);
}

fn holds_a(at: OffsetA) -> bool {
    return true;
}
