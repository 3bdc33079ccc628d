// d_mean = mean d_kl[r], d_logvar = (exp(logvar) - 1) / 2 d_kl[r]; posterior, d_posterior [batch, 2 LATENT], d_kl [batch, 1]
// One invocation an element.

override LATENT: u32;

@group(0) @binding(1) var<storage, read> posterior: array<f32>;
@group(0) @binding(2) var<storage, read> d_kl: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_posterior: array<f32>;

fn element(i: u32) {
    let row = i / LATENT;
    let mean_at = row * 2u * LATENT + i % LATENT;
    let logvar_at = mean_at + LATENT;
    d_posterior[mean_at] = posterior[mean_at] * d_kl[row];
    d_posterior[logvar_at] = 0.5 * (exp(min(posterior[logvar_at], 80.0)) - 1.0) * d_kl[row];
}
