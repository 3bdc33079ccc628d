// loss[r] = sum_c A(l) - l x; logits, x [ROWS, COLS], loss [ROWS, 1]
// One workgroup a row.

override COLS: u32;

@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;

fn summand(row: u32, i: u32) -> f32 {
    let l = logits[row * COLS + i];
    return cumulant(l) - l * x[row * COLS + i];
}
