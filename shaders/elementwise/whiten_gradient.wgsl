// d_mean = -d_u exp(-logvar / 2), d_logvar = (x - mean) d_mean / 2; x and d_u [rows, LATENT], posterior and d_posterior
// [rows, mean LATENT | logvar LATENT]
// One invocation an element of x.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> d_u: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_posterior: array<f32>;

fn element(i: u32) {
    let row = i / LATENT;
    let e = i % LATENT;
    let d_mean = -d_u[i] * exp(min(-0.5 * posterior[logvar_at(row, e)], 80.0));
    d_posterior[mean_at(row, e)] = d_mean;
    d_posterior[logvar_at(row, e)] = 0.5 * (x[i] - posterior[mean_at(row, e)]) * d_mean;
}
