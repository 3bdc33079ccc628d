// a in half precision, element by element.

@group(0) @binding(1) var<storage, read> a: array<u32>;

fn load_a(at: OffsetA) -> f32 {
    return half_in(a[at / 2u], at);
}
