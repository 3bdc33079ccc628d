// y[r, c] = x[r, c] for c < COLS, else given[r / EACH, c - COLS]; x [rows, COLS], given [rows / EACH, WIDTH], y [rows, COLS + WIDTH]
// One invocation an element of y.

override COLS: u32;
override WIDTH: u32;
override EACH: u32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> given: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn element(i: u32) {
    let row = i / (COLS + WIDTH);
    let c = i % (COLS + WIDTH);
    if c < COLS {
        y[i] = x[row * COLS + c];
    } else {
        y[i] = given[row / EACH * WIDTH + c - COLS];
    }
}
