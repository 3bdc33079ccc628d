// d_mean = d_z, d_logvar = d_z eps exp(logvar / 2) / 2; posterior, d_posterior [batch, 2 LATENT], d_z [batch, LATENT]
// One invocation an element.

override LATENT: u32;

@group(0) @binding(1) var<storage, read> posterior: array<f32>;
@group(0) @binding(2) var<storage, read> d_z: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_posterior: array<f32>;

fn element(i: u32) {
    let row = i / LATENT;
    let element = i % LATENT;
    let mean_at = row * 2u * LATENT + element;
    let logvar_at = mean_at + LATENT;
    let eps = latent_noise(row, element);
    d_posterior[mean_at] = d_z[i];
    d_posterior[logvar_at] = d_z[i] * 0.5 * exp(min(0.5 * posterior[logvar_at], 80.0)) * eps;
}
