// b is stored [N, K].

@group(0) @binding(2) var<storage, read> b: array<f32>;

alias OffsetB = u32;

fn b_col(col: u32) -> OffsetB {
    return col * K;
}

fn b_k(k: u32) -> OffsetB {
    return k;
}

fn load_b(at: OffsetB) -> f32 {
    return b[at];
}
