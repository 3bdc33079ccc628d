// y[r, c] = activate(x[r, c] + bias[c]); x, y [rows, COLS], bias [1, COLS]
// One invocation an element.

override COLS: u32;

@group(0) @binding(2) var<storage, read> bias: array<f32>;

fn value(i: u32) -> f32 {
    return activate(load_x(i) + bias[i % COLS]);
}
