// The target is stored [M, N].

@group(0) @binding(4) var<storage, read> stored_target: array<f32>;

fn target_row(row: u32) -> u32 {
    return row * N;
}

fn load_target(at: u32) -> f32 {
    return stored_target[at];
}
