// A vec4 of b, which is stored [K, B_COLS], B_COLS a multiple of four: one load. Past the last stored column there are ones:
// the bias column of gemm/epilogue_bias_gradient.wgsl, and what no other epilogue stores.

override B_COLS: u32;

@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;

const B_K_CONTIGUOUS = false;

// Where columns from `col` on begin, in vec4s.
fn cols_b(col: u32) -> vec4<u32> {
    return vec4<u32>(col / 4u);
}

fn vec4_b(cols: vec4<u32>, k: u32) -> vec4<f32> {
    if (cols.x >= B_COLS / 4u) {
        return vec4<f32>(1.0);
    }
    return b[cols.x + k * (B_COLS / 4u)];
}
