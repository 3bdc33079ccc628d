// d_logvar = sum_r (FEATURES - s[r] exp(-logvar)) / 2 d_y[r]; s, d_y [BATCH, 1], logvar, d_logvar [1, 1]
// One workgroup: invocation l sums rows l, l + WORKGROUP, ...; then the tree.

override BATCH: u32;
override FEATURES: u32;

@group(0) @binding(1) var<storage, read> s: array<f32>;
@group(0) @binding(2) var<storage, read> logvar: array<f32>;
@group(0) @binding(3) var<storage, read> d_y: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_logvar: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) lane: u32) {
    let inverse = exp(min(-logvar[0], 80.0));
    var sum = 0.0;
    for (var r = lane; r < BATCH; r = r + WORKGROUP) {
        sum = sum + (f32(FEATURES) - s[r] * inverse) * d_y[r];
    }
    let total = tree_sum(lane, sum);
    if (lane == 0u) {
        d_logvar[0] = 0.5 * total;
    }
}
