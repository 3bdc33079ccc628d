// a is stored [K, M].

@group(0) @binding(1) var<storage, read> a: array<f32>;

fn load_a(row: u32, k: u32) -> f32 {
    return a[k * M + row];
}
