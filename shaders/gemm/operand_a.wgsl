// a is stored [M, K].

@group(0) @binding(1) var<storage, read> a: array<f32>;

alias OffsetA = u32;

fn a_row(row: u32) -> OffsetA {
    return row * K;
}

fn a_k(k: u32) -> OffsetA {
    return k;
}

fn load_a(at: OffsetA) -> f32 {
    return a[at];
}
