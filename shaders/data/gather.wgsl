// x[r, c] = pixel(source(gathered_row(r), c))
// data [EXAMPLES, COLS], read through source(); x [batch, COLS]. One invocation an element.

override COLS: u32;

@group(0) @binding(2) var<storage, read_write> x: array<f32>;

fn element(i: u32) {
    let col = i % COLS;
    let row = i / COLS;
    x[i] = pixel(source(gathered_row(row) * COLS + col), step.first + row, col);
}
