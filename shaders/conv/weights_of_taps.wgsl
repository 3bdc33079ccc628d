// b [K, N] is the weights [channels of the map, KERNEL, KERNEL, N] of a phase's taps.

@group(0) @binding(2) var<storage, read> weights: array<f32>;

alias OffsetB = u32;

fn b_col(col: u32) -> OffsetB {
    return col;
}

fn b_k(k: u32) -> OffsetB {
    return weight_row(k) * N;
}

fn load_b(at: OffsetB) -> f32 {
    return weights[at];
}
