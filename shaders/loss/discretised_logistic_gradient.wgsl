// d_y = (sigmoid(-b) - sigmoid(a)) exp(-logscale) d_loss[r], of each level the terms that it has;
// y, x, d_y [batch, COLS], logscale [1, 1], d_loss [batch, 1]
// One invocation an element.

override COLS: u32;

@group(0) @binding(4) var<storage, read> d_loss: array<f32>;
@group(0) @binding(5) var<storage, read_write> d_y: array<f32>;

fn element(i: u32) {
    d_y[i] = (above(i) - below(i)) * inverse_scale() * d_loss[i / COLS];
}
