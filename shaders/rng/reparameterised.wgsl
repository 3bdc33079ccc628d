// The draw mean + exp(logvar / 2) eps whose mean is element `at` of a posterior [batch, mean LATENT | logvar LATENT].
// Twin of rng/reparameterise.wgsl, which stores it.

override LATENT: u32;

@group(0) @binding(POSTERIOR_BINDING) var<storage, read> posterior: array<f32>;

fn reparameterised(at: u32) -> f32 {
    let row = at / (2u * LATENT);
    let element = at % (2u * LATENT);
    let eps = latent_noise(row, element);
    return posterior[at] + exp(min(0.5 * posterior[at + LATENT], 80.0)) * eps;
}
