// The target [M, N] is a batch, read from the data set.

fn target_row(row: u32) -> u32 {
    return gathered_row(row) * N;
}

fn load_target(at: u32) -> f32 {
    return pixel(source(at), 0u, 0u);
}
