// b in half precision, element by element.

@group(0) @binding(2) var<storage, read> b: array<u32>;

fn load_b(at: OffsetB) -> f32 {
    return half_in(b[at / 2u], at);
}
