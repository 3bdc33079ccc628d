// d_mean[k] = -sum_r (z[r] - mean) exp(-logvar) d_w[r, k], d_logvar[k] = 1/2 sum_r (1 - (z[r] - mean)^2 exp(-logvar)) d_w[r, k],
// the exponent at most 80; z [ROWS, LATENT], components, d_components [COMPONENTS, 2 LATENT], d_w [ROWS, COMPONENTS]
// One invocation a mean and its logvar.

override LATENT: u32;
override COMPONENTS: u32;
override ROWS: u32;

@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> components: array<f32>;
@group(0) @binding(3) var<storage, read> d_w: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_components: array<f32>;

fn element(i: u32) {
    let k = i / LATENT;
    let e = i % LATENT;
    let at = k * 2u * LATENT + e;
    let mean = components[at];
    let inverse_variance = exp(min(-components[at + LATENT], 80.0));
    var of_mean = 0.0;
    var of_logvar = 0.0;
    for (var row = 0u; row < ROWS; row++) {
        let difference = z[row * LATENT + e] - mean;
        let scaled = difference * inverse_variance;
        let d = d_w[row * COMPONENTS + k];
        of_mean -= scaled * d;
        of_logvar += 0.5 * (1.0 - difference * scaled) * d;
    }
    d_components[at] = of_mean;
    d_components[at + LATENT] = of_logvar;
}
