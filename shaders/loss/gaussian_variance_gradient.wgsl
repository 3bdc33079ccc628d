// d_logvar = sum_r (FEATURES - s[r] exp(-logvar)) / 2 d_y[r]; s, d_y [BATCH, 1], logvar, d_logvar [1, 1]
// One workgroup.

override BATCH: u32;
override FEATURES: u32;

@group(0) @binding(1) var<storage, read> s: array<f32>;
@group(0) @binding(2) var<storage, read> logvar: array<f32>;
@group(0) @binding(3) var<storage, read> d_y: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_logvar: array<f32>;

fn terms(row: u32) -> u32 {
    return BATCH;
}

fn term(row: u32, i: u32) -> f32 {
    return (f32(FEATURES) - s[i] * exp(min(-logvar[0], 80.0))) * d_y[i];
}

fn store(row: u32, total: f32) {
    d_logvar[0] = 0.5 * total;
}
