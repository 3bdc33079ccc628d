// b [K, N] is a batch, read from the data set.

alias OffsetB = u32;

fn b_col(col: u32) -> OffsetB {
    return col;
}

fn b_k(k: u32) -> OffsetB {
    return gathered_row(k) * N;
}

fn load_b(at: OffsetB) -> f32 {
    return pixel(source(at), 0u, 0u);
}
