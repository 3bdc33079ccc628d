// d_mean = (z - mean) exp(-logvar) d_y[r], d_logvar = ((z - mean)^2 exp(-logvar) - 1) / 2 d_y[r]
// posterior, d_posterior [batch, mean LATENT | logvar LATENT], z [batch, LATENT], d_y [batch, 1]
// One invocation an element of z.

override LATENT: u32;

@group(0) @binding(1) var<storage, read> posterior: array<f32>;
@group(0) @binding(2) var<storage, read> z: array<f32>;
@group(0) @binding(3) var<storage, read> d_y: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_posterior: array<f32>;

fn element(i: u32) {
    let row = i / LATENT;
    let mean_at = row * 2u * LATENT + i % LATENT;
    let logvar_at = mean_at + LATENT;
    let off = z[i] - posterior[mean_at];
    let scaled = off * exp(min(-posterior[logvar_at], 80.0));
    d_posterior[mean_at] = scaled * d_y[row];
    d_posterior[logvar_at] = 0.5 * (off * scaled - 1.0) * d_y[row];
}
