// z = mean + exp(logvar / 2) eps; posterior of the batch, z [batch, LATENT]
// One invocation an element.

@group(0) @binding(2) var<storage, read_write> z: array<f32>;

fn element(i: u32) {
    let row = i / LATENT;
    let e = i % LATENT;
    let deviation = exp(min(0.5 * posterior[logvar_at(row, e)], 80.0));
    z[i] = posterior[mean_at(row, e)] + deviation * latent_noise(row, e);
}
