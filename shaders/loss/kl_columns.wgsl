// y[e] = 1/2 sum_{r < rows} (exp(logvar) + mean^2 - 1 - logvar) / rows; posterior [BATCH, mean LATENT | logvar LATENT],
// y [1, LATENT]
// One workgroup a column: invocation l sums rows l, l + WORKGROUP, ...; then the tree.

override BATCH: u32;
override LATENT: u32;

@group(0) @binding(1) var<storage, read> posterior: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = group_index(group);
    if (column >= LATENT) {
        return;
    }
    let rows = min(step.rows, BATCH);
    var sum = 0.0;
    for (var r = lane; r < rows; r = r + WORKGROUP) {
        let mean = posterior[r * 2u * LATENT + column];
        let logvar = posterior[r * 2u * LATENT + LATENT + column];
        sum = sum + exp(min(logvar, 80.0)) + mean * mean - 1.0 - logvar;
    }
    let total = tree_sum(lane, sum);
    if (lane == 0u) {
        y[column] = 0.5 * total / f32(step.rows);
    }
}
