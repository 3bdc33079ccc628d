// Stores up to four columns of a row of c [M, N] from `col` on, one by one.

@group(0) @binding(C) var<storage, read_write> c: array<f32>;

fn store_vec4(row: u32, col: u32, values: vec4<f32>) {
    for (var i = 0u; i < min(4u, N - col); i = i + 1u) {
        c[row * N + col + i] = values[i];
    }
}
