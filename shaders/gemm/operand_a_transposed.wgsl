// a is stored [K, M].

alias OffsetA = u32;

fn a_row(row: u32) -> OffsetA {
    return row;
}

fn a_k(k: u32) -> OffsetA {
    return k * M;
}
