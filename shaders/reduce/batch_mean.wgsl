// y = sum_{r < rows} x[r] / rows; x [BATCH, 1], y [1, 1]. One workgroup.

override BATCH: u32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn terms(row: u32) -> u32 {
    return min(step.rows, BATCH);
}

fn term(row: u32, i: u32) -> f32 {
    return x[i];
}

fn store(row: u32, total: f32) {
    y[0] = total / f32(step.rows);
}
