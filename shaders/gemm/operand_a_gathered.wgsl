// a [M, K] is a batch, read from the data set.

fn a_row(row: u32) -> u32 {
    return gathered_row(row) * K;
}

fn a_k(k: u32) -> u32 {
    return k;
}

fn load_a(at: u32) -> f32 {
    return pixel(source(at), 0u, 0u);
}
