// y = sum_c max(x[c], FLOOR); x [1, COLS], y [1, 1]. One workgroup.

override FLOOR: f32;

@group(0) @binding(1) var<storage, read> x: array<f32>;

fn summand(row: u32, i: u32) -> f32 {
    return select(x[i], FLOOR, x[i] < FLOOR);
}
