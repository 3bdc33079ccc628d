// kl[r] = 1/2 sum_e exp(logvar) + mean^2 - 1 - logvar; posterior [ROWS, mean LATENT | logvar LATENT], kl [ROWS, 1]
// One workgroup a row.

override LATENT: u32;

@group(0) @binding(1) var<storage, read> posterior: array<f32>;
@group(0) @binding(2) var<storage, read_write> kl: array<f32>;

fn terms(row: u32) -> u32 {
    return LATENT;
}

fn term(row: u32, i: u32) -> f32 {
    let mean = posterior[row * 2u * LATENT + i];
    let logvar = posterior[row * 2u * LATENT + LATENT + i];
    return exp(min(logvar, 80.0)) + mean * mean - 1.0 - logvar;
}

fn store(row: u32, total: f32) {
    kl[row] = 0.5 * total;
}
