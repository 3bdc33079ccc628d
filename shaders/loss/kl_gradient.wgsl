// d_mean = mean d_kl[r], d_logvar = (exp(logvar) - 1) / 2 d_kl[r]; d_posterior [batch, 2 LATENT], d_kl [batch, 1]
// One invocation a mean and a log-variance.

@group(0) @binding(2) var<storage, read> d_kl: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_posterior: array<f32>;

fn element(i: u32) {
    let row = i / LATENT;
    let d = kl_slopes(row, i % LATENT) * d_kl[row];
    d_posterior[mean_at(row, i % LATENT)] = d.x;
    d_posterior[logvar_at(row, i % LATENT)] = d.y;
}
