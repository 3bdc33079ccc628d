// loss[r] = sum_c (y - x)^2; y, x [ROWS, COLS], loss [ROWS, 1]
// One workgroup a row.

override COLS: u32;

@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;

fn summand(row: u32, i: u32) -> f32 {
    let difference = y[row * COLS + i] - x[row * COLS + i];
    return difference * difference;
}
