// b [K, N] is a batch of the data set.

alias OffsetB = u32;

fn b_col(col: u32) -> OffsetB {
    return col;
}

fn b_k(k: u32) -> OffsetB {
    return gathered_row(k) * N;
}
