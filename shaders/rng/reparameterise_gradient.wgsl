// d_mean = d_z, d_logvar = d_z eps exp(logvar / 2) / 2; posterior of the batch, d_posterior [batch, 2 LATENT], d_z [batch, LATENT]
// One invocation an element of z.

@group(0) @binding(2) var<storage, read> d_z: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_posterior: array<f32>;

fn element(i: u32) {
    let row = i / LATENT;
    let e = i % LATENT;
    let deviation = exp(min(0.5 * posterior[logvar_at(row, e)], 80.0));
    d_posterior[mean_at(row, e)] = d_z[i];
    d_posterior[logvar_at(row, e)] = d_z[i] * 0.5 * deviation * latent_noise(row, e);
}
