// d_mean = mean d_y[e] / rows, d_logvar = (exp(logvar) - 1) / 2 d_y[e] / rows in row r < rows, else 0
// d_posterior [batch, 2 LATENT], d_y [1, LATENT]
// One invocation a mean and a log-variance.

@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_posterior: array<f32>;

fn element(i: u32) {
    let row = i / LATENT;
    let e = i % LATENT;
    let d = select(vec2<f32>(), kl_slopes(row, e) * (d_y[e] / f32(step.rows)), row < step.rows);
    d_posterior[mean_at(row, e)] = d.x;
    d_posterior[logvar_at(row, e)] = d.y;
}
