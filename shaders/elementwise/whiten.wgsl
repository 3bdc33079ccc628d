// u = (x - mean) exp(-logvar / 2); x and u [rows, LATENT], posterior the [mean | logvar] of each row
// One invocation an element.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> u: array<f32>;

fn element(i: u32) {
    let row = i / LATENT;
    let e = i % LATENT;
    u[i] = (x[i] - posterior[mean_at(row, e)]) * exp(min(-0.5 * posterior[logvar_at(row, e)], 80.0));
}
