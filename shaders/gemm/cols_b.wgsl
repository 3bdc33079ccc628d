// Where four columns of b begin.

struct ColsB {
    col_0: OffsetB,
    col_1: OffsetB,
    col_2: OffsetB,
    col_3: OffsetB,
}

// Those from `col` on; past the edge the last column is repeated.
fn cols_b(col: u32) -> ColsB {
    let cols = min(vec4<u32>(col, col + 1u, col + 2u, col + 3u), vec4<u32>(N - 1u));
    return ColsB(b_col(cols.x), b_col(cols.y), b_col(cols.z), b_col(cols.w));
}
