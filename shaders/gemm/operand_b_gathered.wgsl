// b [K, N] is a batch, read from the data set.

fn b_col(col: u32) -> u32 {
    return col;
}

fn b_k(k: u32) -> u32 {
    return gathered_row(k) * N;
}

fn load_b(at: u32) -> f32 {
    return pixel(source(at), 0u, 0u);
}
