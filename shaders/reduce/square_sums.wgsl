// y[p] = sum_i g[i]^2, i in part p: elements [p SPAN, (p + 1) SPAN); g [1, COUNT], y [1, PARTS]
// One workgroup a part: invocation l sums elements l, l + WORKGROUP, ... of it; then the tree.

override COUNT: u32;
override PARTS: u32;
override SPAN: u32;

@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let part = group_index(group);
    if (part >= PARTS) {
        return;
    }
    let end = min((part + 1u) * SPAN, COUNT);
    var sum = 0.0;
    for (var i = part * SPAN + lane; i < end; i = i + WORKGROUP) {
        sum = sum + g[i] * g[i];
    }
    let total = tree_sum(lane, sum);
    if (lane == 0u) {
        y[part] = total;
    }
}
