// a is stored [M, K].

@group(0) @binding(1) var<storage, read> a: array<f32>;

fn a_row(row: u32) -> u32 {
    return row * K;
}

fn a_k(k: u32) -> u32 {
    return k;
}

fn load_a(at: u32) -> f32 {
    return a[at];
}
