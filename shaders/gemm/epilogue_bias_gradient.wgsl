// c = sum; the last column, the bias column, is operand A's own sums over k. c [M, N - 1], column_sums [1, M]

@group(0) @binding(3) var<storage, read_write> c: array<f32>;
@group(0) @binding(4) var<storage, read_write> column_sums: array<f32>;

fn epilogue(row: u32, col: u32, sums: vec4<f32>) {
    for (var i = 0u; i < min(4u, N - col); i = i + 1u) {
        if (col + i == N - 1u) {
            column_sums[row] = sums[i];
        } else {
            c[row * (N - 1u) + col + i] = sums[i];
        }
    }
}
