// The sum is d_z of a draw z = mean + exp(logvar / 2) eps [M, LATENT]; stored is the gradient of the posterior, of that draw
// and of factor() times the mean KL. posterior of M rows, d_posterior [M, mean LATENT | logvar LATENT]; N is LATENT.
// Called for up to four columns from col on of one row.

@group(0) @binding(4) var<storage, read_write> d_posterior: array<f32>;

fn epilogue(row: u32, col: u32, sums: vec4<f32>) {
    let kl_weight = select(0.0, factor() / f32(step.rows), row < step.rows);
    for (var i = 0u; i < min(4u, N - col); i = i + 1u) {
        let e = col + i;
        let deviation = exp(min(0.5 * posterior[logvar_at(row, e)], 80.0));
        let d_kl = kl_slopes(row, e) * kl_weight;
        d_posterior[mean_at(row, e)] = d_kl.x + sums[i];
        d_posterior[logvar_at(row, e)] = d_kl.y + sums[i] * 0.5 * deviation * latent_noise(row, e);
    }
}
