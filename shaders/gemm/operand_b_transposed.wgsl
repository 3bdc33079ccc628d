// b is stored [N, K].

alias OffsetB = u32;

fn b_col(col: u32) -> OffsetB {
    return col * K;
}

fn b_k(k: u32) -> OffsetB {
    return k;
}
