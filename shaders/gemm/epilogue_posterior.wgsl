// The sum is d_z of a draw z = mean + exp(logvar / 2) eps [M, LATENT]; stored is the gradient of the posterior, of that draw
// and of factor() times the mean KL. posterior, d_posterior [M, mean LATENT | logvar LATENT]; N is LATENT.

override LATENT: u32;

@group(0) @binding(3) var<storage, read> posterior: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_posterior: array<f32>;

fn epilogue(row: u32, col: u32, sums: vec4<f32>) {
    let share = select(0.0, factor() / f32(step.rows), row < step.rows);
    for (var i = 0u; i < min(4u, N - col); i = i + 1u) {
        let element = col + i;
        let at = row * 2u * LATENT + element;
        let logvar = posterior[at + LATENT];
        let eps = latent_noise(row, element);
        let drawn = sums[i] * 0.5 * exp(min(0.5 * logvar, 80.0)) * eps;
        d_posterior[at] = posterior[at] * share + sums[i];
        d_posterior[at + LATENT] = 0.5 * (exp(min(logvar, 80.0)) - 1.0) * share + drawn;
    }
}
