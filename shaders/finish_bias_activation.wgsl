// c = activate(sum + bias[col]); bias [1, N], c [M, N]

@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;

fn finish(row: u32, col: u32, sum: f32) {
    c[row * N + col] = activate(sum + bias[col]);
}
