// d_l = (A'(l) - x) d_loss[r]; logits, x, d_logits [batch, COLS], d_loss [batch, 1]
// One invocation an element.

override COLS: u32;

@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> d_loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_logits: array<f32>;

fn element(i: u32) {
    d_logits[i] = (cumulant_slope(logits[i]) - x[i]) * d_loss[i / COLS];
}
