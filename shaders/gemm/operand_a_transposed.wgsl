// a is stored [K, M].

@group(0) @binding(1) var<storage, read> a: array<f32>;

fn a_row(row: u32) -> u32 {
    return row;
}

fn a_k(k: u32) -> u32 {
    return k * M;
}

fn load_a(at: u32) -> f32 {
    return a[at];
}
