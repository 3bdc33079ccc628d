// y = sum_{r < rows, c} parts[r, c] / rows; parts [BATCH, COLS], y [1, 1]
// One workgroup.

@group(0) @binding(1) var<storage, read> parts: array<f32>;

fn summand(row: u32, i: u32) -> f32 {
    return parts[i];
}
