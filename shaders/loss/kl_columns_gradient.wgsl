// d_mean = mean d_y[e] / rows, d_logvar = (exp(logvar) - 1) / 2 d_y[e] / rows in row r < rows, else 0
// posterior, d_posterior [batch, mean LATENT | logvar LATENT], d_y [1, LATENT]
// One invocation a mean and a log-variance.

override LATENT: u32;

@group(0) @binding(1) var<storage, read> posterior: array<f32>;
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_posterior: array<f32>;

fn element(i: u32) {
    let row = i / LATENT;
    let mean_at = row * 2u * LATENT + i % LATENT;
    let logvar_at = mean_at + LATENT;
    let counts = row < step.rows;
    let share = d_y[i % LATENT] / f32(step.rows);
    d_posterior[mean_at] = select(0.0, posterior[mean_at] * share, counts);
    d_posterior[logvar_at] = select(0.0, 0.5 * (exp(min(posterior[logvar_at], 80.0)) - 1.0) * share, counts);
}
