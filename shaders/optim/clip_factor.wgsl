// y = min(1, MAX_NORM / (sqrt(sum_p x[p]) + 1e-6)); x [1, PARTS], y [1, 1]
// One workgroup.

override MAX_NORM: f32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn summand(row: u32, i: u32) -> f32 {
    return x[i];
}

fn store(row: u32, total: f32) {
    y[0] = min(1.0, MAX_NORM / (sqrt(total) + 1e-6));
}
