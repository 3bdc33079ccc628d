// y = sum_c max(x[c], FLOOR); x [1, COLS], y [1, 1]. One workgroup.

override COLS: u32;
override FLOOR: f32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn terms(row: u32) -> u32 {
    return COLS;
}

fn term(row: u32, i: u32) -> f32 {
    return select(x[i], FLOOR, x[i] < FLOOR);
}

fn store(row: u32, total: f32) {
    y[0] = total;
}
