// y[r, c] = sum_{i < GROUP} x[r GROUP + i, c], in the order of the rows; x [batch GROUP, COLS], y [batch, COLS]
// One invocation an element of y.

override COLS: u32;
override GROUP: u32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn element(i: u32) {
    let first = i / COLS * GROUP * COLS + i % COLS;
    var sum = 0.0;
    for (var r = 0u; r < GROUP; r = r + 1u) {
        sum = sum + x[first + r * COLS];
    }
    y[i] = sum;
}
