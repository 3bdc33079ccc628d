// y[r, c] = x[r, START + c]; x [rows, COLS], y [rows, TAKEN]
// One invocation an element.

override COLS: u32;
override START: u32;
override TAKEN: u32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn element(i: u32) {
    y[i] = x[i / TAKEN * COLS + START + i % TAKEN];
}
