// b is stored [K, N].

@group(0) @binding(2) var<storage, read> b: array<f32>;

fn b_col(col: u32) -> u32 {
    return col;
}

fn b_k(k: u32) -> u32 {
    return k * N;
}

fn load_b(at: u32) -> f32 {
    return b[at];
}
