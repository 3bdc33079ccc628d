// A posterior that is read, [rows, mean LATENT | logvar LATENT], by row and latent dimension e.

override LATENT: u32;

@group(0) @binding(POSTERIOR) var<storage, read> posterior: array<f32>;

fn mean_at(row: u32, e: u32) -> u32 {
    return row * 2u * LATENT + e;
}

fn logvar_at(row: u32, e: u32) -> u32 {
    return mean_at(row, e) + LATENT;
}

// The closed-form KL of one dimension: (exp(logvar) + mean^2 - 1 - logvar) / 2.
fn kl_of(row: u32, e: u32) -> f32 {
    let mean = posterior[mean_at(row, e)];
    let logvar = posterior[logvar_at(row, e)];
    return 0.5 * (exp(min(logvar, 80.0)) + mean * mean - 1.0 - logvar);
}

// Its slopes with respect to mean and logvar.
fn kl_slopes(row: u32, e: u32) -> vec2<f32> {
    let mean = posterior[mean_at(row, e)];
    return vec2<f32>(mean, 0.5 * (exp(min(posterior[logvar_at(row, e)], 80.0)) - 1.0));
}
