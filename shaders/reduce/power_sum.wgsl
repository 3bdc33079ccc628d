// y[r] = sum_c norm_term(x[r, c]); x [ROWS, COLS], y [ROWS, 1]
// One workgroup a row.

override COLS: u32;

@group(0) @binding(1) var<storage, read> x: array<f32>;

fn summand(row: u32, i: u32) -> f32 {
    return norm_term(x[row * COLS + i]);
}
