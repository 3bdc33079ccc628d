// y[r] = 1/2 sum_e z^2 - (z - mean)^2 exp(-logvar) - logvar
// posterior [ROWS, mean LATENT | logvar LATENT], z [ROWS, LATENT], y [ROWS, 1]
// One workgroup a row.

override LATENT: u32;

@group(0) @binding(1) var<storage, read> posterior: array<f32>;
@group(0) @binding(2) var<storage, read> z: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn terms(row: u32) -> u32 {
    return LATENT;
}

fn term(row: u32, i: u32) -> f32 {
    let mean = posterior[row * 2u * LATENT + i];
    let logvar = posterior[row * 2u * LATENT + LATENT + i];
    let sample = z[row * LATENT + i];
    let off = sample - mean;
    return sample * sample - off * off * exp(min(-logvar, 80.0)) - logvar;
}

fn store(row: u32, total: f32) {
    y[row] = 0.5 * total;
}
