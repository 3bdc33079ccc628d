// y = sum_{r < rows, c} parts[r, c] / rows; parts [BATCH, COLS], y [1, 1]
// One workgroup.

override BATCH: u32;
override COLS: u32;

@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn terms(row: u32) -> u32 {
    return min(step.rows, BATCH) * COLS;
}

fn term(row: u32, i: u32) -> f32 {
    return parts[i];
}

fn store(row: u32, total: f32) {
    y[0] = total / f32(step.rows);
}
