// A vec4 of b, which is stored [K, N], N a multiple of four: one load.

@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;

const B_K_CONTIGUOUS = false;

alias ColsB = u32;

// Where columns from `col` on begin, in vec4s; past the edge the last vec4 is repeated.
fn cols_b(col: u32) -> ColsB {
    return min(col, N - 1u) / 4u;
}

fn vec4_b(cols: ColsB, k: u32) -> vec4<f32> {
    return b[cols + k * (N / 4u)];
}
