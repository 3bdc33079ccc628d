// d_z = (z - (z - mean) exp(-logvar)) d_y[r]
// posterior [batch, mean LATENT | logvar LATENT], z, d_z [batch, LATENT], d_y [batch, 1]
// One invocation an element of z.

override LATENT: u32;

@group(0) @binding(1) var<storage, read> posterior: array<f32>;
@group(0) @binding(2) var<storage, read> z: array<f32>;
@group(0) @binding(3) var<storage, read> d_y: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_z: array<f32>;

fn element(i: u32) {
    let row = i / LATENT;
    let mean_at = row * 2u * LATENT + i % LATENT;
    let off = z[i] - posterior[mean_at];
    d_z[i] = (z[i] - off * exp(min(-posterior[mean_at + LATENT], 80.0))) * d_y[row];
}
