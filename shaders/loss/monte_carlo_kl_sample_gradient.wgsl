// d_z = (z - (z - mean) exp(-logvar)) d_y[r], the exponent at most 80; posterior of the batch, z, d_z [batch, LATENT], d_y [batch, 1]
// One invocation an element of z.

@group(0) @binding(2) var<storage, read> z: array<f32>;
@group(0) @binding(3) var<storage, read> d_y: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_z: array<f32>;

fn element(i: u32) {
    let row = i / LATENT;
    let e = i % LATENT;
    let scaled = (z[i] - posterior[mean_at(row, e)]) * exp(min(-posterior[logvar_at(row, e)], 80.0));
    d_z[i] = (z[i] - scaled) * d_y[row];
}
