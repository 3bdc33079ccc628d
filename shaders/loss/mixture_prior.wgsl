// w[r, k] = 1/2 sum_e ((z[r] - mean[k])^2 exp(-logvar[k]) + logvar[k] - z[r]^2), the exponent at most 80
// z [rows, LATENT], components [COMPONENTS, 2 LATENT] of [mean | logvar], w [rows, COMPONENTS]
// One invocation an element of w.

override LATENT: u32;
override COMPONENTS: u32;

@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> components: array<f32>;
@group(0) @binding(3) var<storage, read_write> w: array<f32>;

fn element(i: u32) {
    let of_z = i / COMPONENTS * LATENT;
    let of_component = i % COMPONENTS * 2u * LATENT;
    var sum = 0.0;
    for (var e = 0u; e < LATENT; e++) {
        let sample = z[of_z + e];
        let difference = sample - components[of_component + e];
        let logvar = components[of_component + LATENT + e];
        sum += difference * difference * exp(min(-logvar, 80.0)) + logvar - sample * sample;
    }
    w[i] = 0.5 * sum;
}
