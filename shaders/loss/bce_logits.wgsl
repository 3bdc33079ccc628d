// loss[r] = sum_c max(l, 0) - l x + log1p(exp(-|l|)); logits, x [ROWS, COLS], loss [ROWS, 1]
// One workgroup a row.

override COLS: u32;

@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

fn terms(row: u32) -> u32 {
    return COLS;
}

fn term(row: u32, i: u32) -> f32 {
    let l = logits[row * COLS + i];
    return softplus(l) - l * x[row * COLS + i];
}

fn store(row: u32, total: f32) {
    loss[row] = total;
}
