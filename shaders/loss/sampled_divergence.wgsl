// y[r] = 1/2 sum_e z^2 - (z - mean)^2 exp(-logvar) - logvar
// posterior [ROWS, mean LATENT | logvar LATENT], z [ROWS, LATENT], y [ROWS, 1]
// One workgroup a row: invocation l sums columns l, l + WORKGROUP, ...; then the tree.

override ROWS: u32;
override LATENT: u32;

@group(0) @binding(1) var<storage, read> posterior: array<f32>;
@group(0) @binding(2) var<storage, read> z: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group_index(group);
    if (row >= ROWS) {
        return;
    }
    var sum = 0.0;
    for (var c = lane; c < LATENT; c = c + WORKGROUP) {
        let mean = posterior[row * 2u * LATENT + c];
        let logvar = posterior[row * 2u * LATENT + LATENT + c];
        let sample = z[row * LATENT + c];
        let off = sample - mean;
        sum = sum + sample * sample - off * off * exp(min(-logvar, 80.0)) - logvar;
    }
    let total = tree_sum(lane, sum);
    if (lane == 0u) {
        y[row] = 0.5 * total;
    }
}
