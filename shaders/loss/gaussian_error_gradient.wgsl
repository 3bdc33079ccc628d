// d_s[r] = exp(-logvar) / 2 d_y[r]; d_y, d_s [batch, 1], logvar [1, 1]
// One invocation a row.

@group(0) @binding(1) var<storage, read> logvar: array<f32>;
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_s: array<f32>;

fn element(i: u32) {
    d_s[i] = 0.5 * exp(min(-logvar[0], 80.0)) * d_y[i];
}
