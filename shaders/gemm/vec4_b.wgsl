// A vec4 of b, loaded element by element.

// Whether b is k-contiguous.
override B_K_CONTIGUOUS: bool;

// Where columns from `col` on begin; past the edge the last column is repeated.
fn cols_b(col: u32) -> vec4<u32> {
    let cols = min(vec4<u32>(col, col + 1u, col + 2u, col + 3u), vec4<u32>(N - 1u));
    return vec4<u32>(b_col(cols.x), b_col(cols.y), b_col(cols.z), b_col(cols.w));
}

fn vec4_b(cols: vec4<u32>, k: u32) -> vec4<f32> {
    let at = cols + b_k(k);
    return vec4<f32>(load_b(at.x), load_b(at.y), load_b(at.z), load_b(at.w));
}
