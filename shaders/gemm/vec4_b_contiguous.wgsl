// A vec4 of b: four contiguous columns at one k, one load. N is a multiple of four.

alias ColsB = OffsetB;

// The address of columns from `col` on, a multiple of four; past the edge the last four are repeated.
fn cols_b(col: u32) -> ColsB {
    return b_col(min(col, N - 4u));
}

fn vec4_b(cols: ColsB, k: u32) -> vec4<f32> {
    let at = cols + b_k(k);
    return select(vec4<f32>(), load_vec4_b(at), holds_b(at));
}
