// c = activate(sum + bias[col]); bias [1, N], c [M, N]

@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;

fn epilogue(row: u32, col: u32, sums: vec4<f32>) {
    for (var i = 0u; i < min(4u, N - col); i = i + 1u) {
        c[row * N + col + i] = activate(sums[i] + bias[col + i]);
    }
}
