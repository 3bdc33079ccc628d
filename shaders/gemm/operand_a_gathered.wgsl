// a [M, K] is a batch of the data set.

alias OffsetA = u32;

fn a_row(row: u32) -> OffsetA {
    return gathered_row(row) * K;
}

fn a_k(k: u32) -> OffsetA {
    return k;
}
