// a is stored [M, K].

alias OffsetA = u32;

fn a_row(row: u32) -> OffsetA {
    return row * K;
}

fn a_k(k: u32) -> OffsetA {
    return k;
}
