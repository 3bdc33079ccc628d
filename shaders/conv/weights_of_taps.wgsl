// b [K, N] is the weights [channels of the map, KERNEL, KERNEL, N] of a phase's taps.

alias OffsetB = u32;

fn b_col(col: u32) -> OffsetB {
    return col;
}

fn b_k(k: u32) -> OffsetB {
    return weight_row(k) * N;
}
