// y[e] = 1/2 sum_{r < rows} (exp(logvar) + mean^2 - 1 - logvar) / rows; posterior [BATCH, mean LATENT | logvar LATENT],
// y [1, LATENT]
// One workgroup a column.

override BATCH: u32;
override LATENT: u32;

@group(0) @binding(1) var<storage, read> posterior: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn terms(row: u32) -> u32 {
    return min(step.rows, BATCH);
}

fn term(row: u32, i: u32) -> f32 {
    let mean = posterior[i * 2u * LATENT + row];
    let logvar = posterior[i * 2u * LATENT + LATENT + row];
    return exp(min(logvar, 80.0)) + mean * mean - 1.0 - logvar;
}

fn store(row: u32, total: f32) {
    y[row] = 0.5 * total / f32(step.rows);
}
