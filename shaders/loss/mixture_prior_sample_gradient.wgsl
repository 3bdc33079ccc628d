// d_z[r, e] = sum_k ((z - mean[k]) exp(-logvar[k]) - z) d_w[r, k], the exponent at most 80
// z, d_z [rows, LATENT], components [COMPONENTS, 2 LATENT] of [mean | logvar], d_w [rows, COMPONENTS]
// One invocation an element of z.

override LATENT: u32;
override COMPONENTS: u32;

@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> components: array<f32>;
@group(0) @binding(3) var<storage, read> d_w: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_z: array<f32>;

fn element(i: u32) {
    let row = i / LATENT;
    let e = i % LATENT;
    let sample = z[i];
    var sum = 0.0;
    for (var k = 0u; k < COMPONENTS; k++) {
        let mean = components[k * 2u * LATENT + e];
        let logvar = components[k * 2u * LATENT + LATENT + e];
        sum += ((sample - mean) * exp(min(-logvar, 80.0)) - sample) * d_w[row * COMPONENTS + k];
    }
    d_z[i] = sum;
}
