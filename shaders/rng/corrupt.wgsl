// y[r, c] = corrupted(x[r, c], bits of example first + r, element c); x, y [batch, COLS]
// One invocation an element.

override COLS: u32;
override STREAM: u32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn element(i: u32) {
    let bits = draw_bits(step.seed, STREAM, step.index, step.first + i / COLS, i % COLS);
    y[i] = corrupted(x[i], bits);
}
