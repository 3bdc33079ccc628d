// y[r REPEATS + i, c] = x[r, c]; x [batch, COLS], y [batch REPEATS, COLS]
// One invocation an element of y.

override COLS: u32;
override REPEATS: u32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn element(i: u32) {
    y[i] = x[i / COLS / REPEATS * COLS + i % COLS];
}
