// kl[r] = 1/2 sum_e exp(logvar) + mean^2 - 1 - logvar; posterior [ROWS, mean LATENT | logvar LATENT], kl [ROWS, 1]
// One workgroup a row: invocation l sums columns l, l + WORKGROUP, ...; then the tree.

override ROWS: u32;
override LATENT: u32;

@group(0) @binding(1) var<storage, read> posterior: array<f32>;
@group(0) @binding(2) var<storage, read_write> kl: array<f32>;

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
        sum = sum + exp(min(logvar, 80.0)) + mean * mean - 1.0 - logvar;
    }
    let total = tree_sum(lane, sum);
    if (lane == 0u) {
        kl[row] = 0.5 * total;
    }
}
