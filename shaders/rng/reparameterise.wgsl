// z = mean + exp(logvar / 2) eps; posterior [batch, mean LATENT | logvar LATENT], z [batch, LATENT]
// One invocation an element.

override LATENT: u32;

@group(0) @binding(1) var<storage, read> posterior: array<f32>;
@group(0) @binding(2) var<storage, read_write> z: array<f32>;

fn element(i: u32) {
    let row = i / LATENT;
    let element = i % LATENT;
    let mean = posterior[row * 2u * LATENT + element];
    let logvar = posterior[row * 2u * LATENT + LATENT + element];
    let eps = latent_noise(row, element);
    z[i] = mean + exp(min(0.5 * logvar, 80.0)) * eps;
}
