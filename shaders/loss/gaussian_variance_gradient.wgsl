// d_logvar = sum_r (FEATURES - s[r] exp(-logvar)) / 2 d_y[r]; s, d_y [BATCH, 1], logvar, d_logvar [1, 1]
// One workgroup.

override FEATURES: u32;

@group(0) @binding(1) var<storage, read> s: array<f32>;
@group(0) @binding(2) var<storage, read> logvar: array<f32>;
@group(0) @binding(3) var<storage, read> d_y: array<f32>;

fn summand(row: u32, i: u32) -> f32 {
    return 0.5 * ((f32(FEATURES) - s[i] * exp(min(-logvar[0], 80.0))) * d_y[i]);
}
