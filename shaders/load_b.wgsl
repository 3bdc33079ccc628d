// b is stored [K, N].

@group(0) @binding(2) var<storage, read> b: array<f32>;

fn load_b(k: u32, col: u32) -> f32 {
    return b[k * N + col];
}
