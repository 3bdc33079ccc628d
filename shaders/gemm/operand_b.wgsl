// b is stored [K, N].

alias OffsetB = u32;

fn b_col(col: u32) -> OffsetB {
    return col;
}

fn b_k(k: u32) -> OffsetB {
    return k * N;
}
