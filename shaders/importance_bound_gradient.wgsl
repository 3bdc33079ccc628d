// d_v[g SAMPLES + i] = exp(least - v) / sum_j exp(least - v) d_y[g], least = min_j v; v, d_v [ROWS SAMPLES, 1], d_y [ROWS, 1]
// One workgroup a group of samples: invocation l takes samples l, l + WORKGROUP, ...; then the trees. No argument of exp
// is above 0, so none overflows.

override ROWS: u32;
override SAMPLES: u32;

@group(0) @binding(1) var<storage, read> v: array<f32>;
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_v: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group_index(group);
    if (row >= ROWS) {
        return;
    }
    var most = -3.0e38;
    for (var i = lane; i < SAMPLES; i = i + WORKGROUP) {
        most = max(most, -v[row * SAMPLES + i]);
    }
    let least = -tree_max(lane, most);
    var sum = 0.0;
    for (var i = lane; i < SAMPLES; i = i + WORKGROUP) {
        sum = sum + exp(least - v[row * SAMPLES + i]);
    }
    let share = d_y[row] / tree_sum(lane, sum);
    for (var i = lane; i < SAMPLES; i = i + WORKGROUP) {
        d_v[row * SAMPLES + i] = exp(least - v[row * SAMPLES + i]) * share;
    }
}
