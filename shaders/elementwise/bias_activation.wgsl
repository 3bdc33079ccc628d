// y[r, c] = activate(x[r, c] + bias[c]); x, y [rows, COLS], bias [1, COLS]
// One invocation an element.

override COLS: u32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn element(i: u32) {
    y[i] = activate(x[i] + bias[i % COLS]);
}
