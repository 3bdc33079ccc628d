// y[g] = -log(1/SAMPLES sum_i exp(-v[g SAMPLES + i])) = least - log(1/SAMPLES sum_i exp(least - v)), least = min_i v
// v [ROWS SAMPLES, 1], y [ROWS, 1]
// One workgroup a group of samples: invocation l takes samples l, l + WORKGROUP, ...; then the trees. No argument of exp
// is above 0, so none overflows.

override ROWS: u32;
override SAMPLES: u32;

@group(0) @binding(1) var<storage, read> v: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

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
    let total = tree_sum(lane, sum);
    if (lane == 0u) {
        y[row] = least - log(total / f32(SAMPLES));
    }
}
