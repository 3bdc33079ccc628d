// A vec4 of b, loaded element by element.

// Whether b is k-contiguous.
override B_K_CONTIGUOUS: bool;

// Where four columns begin.
struct ColsB {
    col_0: OffsetB,
    col_1: OffsetB,
    col_2: OffsetB,
    col_3: OffsetB,
}

// Columns from `col` on; past the edge the last column is repeated.
fn cols_b(col: u32) -> ColsB {
    let cols = min(vec4<u32>(col, col + 1u, col + 2u, col + 3u), vec4<u32>(N - 1u));
    return ColsB(b_col(cols.x), b_col(cols.y), b_col(cols.z), b_col(cols.w));
}

fn vec4_b(cols: ColsB, k: u32) -> vec4<f32> {
    let at = b_k(k);
    return vec4<f32>(load_b(cols.col_0 + at), load_b(cols.col_1 + at), load_b(cols.col_2 + at), load_b(cols.col_3 + at));
}
