// y = min(1, MAX_NORM / (sqrt(sum_p x[p]) + 1e-6)); x [1, PARTS], y [1, 1]
// One workgroup: invocation l sums parts l, l + WORKGROUP, ...; then the tree.

override PARTS: u32;
override MAX_NORM: f32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var p = lane; p < PARTS; p = p + WORKGROUP) {
        sum = sum + x[p];
    }
    let total = tree_sum(lane, sum);
    if (lane == 0u) {
        y[0] = min(1.0, MAX_NORM / (sqrt(total) + 1e-6));
    }
}
