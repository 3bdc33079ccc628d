// d_x = norm_slope(x) d_y[r]; x, d_x [batch, COLS], d_y [batch, 1]
// One invocation an element.

override COLS: u32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_x: array<f32>;

fn element(i: u32) {
    d_x[i] = norm_slope(x[i]) * d_y[i / COLS];
}
