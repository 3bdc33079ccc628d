// d_mean = (z - mean) exp(-logvar) d_y[r], d_logvar = ((z - mean)^2 exp(-logvar) - 1) / 2 d_y[r], the exponent at most 80
// posterior of the batch, d_posterior [batch, 2 LATENT], z [batch, LATENT], d_y [batch, 1]
// One invocation an element of z.

@group(0) @binding(2) var<storage, read> z: array<f32>;
@group(0) @binding(3) var<storage, read> d_y: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_posterior: array<f32>;

fn element(i: u32) {
    let row = i / LATENT;
    let e = i % LATENT;
    let difference = z[i] - posterior[mean_at(row, e)];
    let scaled = difference * exp(min(-posterior[logvar_at(row, e)], 80.0));
    d_posterior[mean_at(row, e)] = scaled * d_y[row];
    d_posterior[logvar_at(row, e)] = 0.5 * (difference * scaled - 1.0) * d_y[row];
}
