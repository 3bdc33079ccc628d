// y[r] = 1/2 sum_e (z^2 - (z - mean)^2 exp(-logvar) - logvar), the exponent at most 80
// posterior of ROWS rows, z [ROWS, LATENT], y [ROWS, 1]
// One workgroup a row.

@group(0) @binding(2) var<storage, read> z: array<f32>;

fn summand(row: u32, i: u32) -> f32 {
    let sample = z[row * LATENT + i];
    let logvar = posterior[logvar_at(row, i)];
    let difference = sample - posterior[mean_at(row, i)];
    return 0.5 * (sample * sample - difference * difference * exp(min(-logvar, 80.0)) - logvar);
}
