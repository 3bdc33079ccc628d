// a [M, K] is a batch, read from the data set.

alias OffsetA = u32;

fn a_row(row: u32) -> OffsetA {
    return gathered_row(row) * K;
}

fn a_k(k: u32) -> OffsetA {
    return k;
}

fn load_a(at: OffsetA) -> f32 {
    return pixel(source(at), 0u, 0u);
}
