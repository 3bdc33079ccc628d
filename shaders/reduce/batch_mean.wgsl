// y = sum_{r < rows} x[r] / rows; x [BATCH, 1], y [1, 1]. One workgroup.

@group(0) @binding(1) var<storage, read> x: array<f32>;

fn summand(row: u32, i: u32) -> f32 {
    return x[i];
}
