// y[r] = (s[r] exp(-logvar) + FEATURES (logvar + LOG_TWO_PI)) / 2; s, y [batch, 1], logvar [1, 1]
// One invocation a row.

override FEATURES: u32;
override LOG_TWO_PI: f32;

@group(0) @binding(1) var<storage, read> s: array<f32>;
@group(0) @binding(2) var<storage, read> logvar: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn element(i: u32) {
    y[i] = 0.5 * (s[i] * exp(min(-logvar[0], 80.0)) + f32(FEATURES) * (logvar[0] + LOG_TWO_PI));
}
