// The least of a group of SAMPLES values, and how far the others are above it; v [rows SAMPLES, 1], a group a row.
// Invocation l takes samples l, l + WORKGROUP, ...; then the trees of common/tree.wgsl. Every invocation of the workgroup must
// call these.

override SAMPLES: u32;

@group(0) @binding(1) var<storage, read> v: array<f32>;

// min_i v[row SAMPLES + i]
fn least_of_group(lane: u32, row: u32) -> f32 {
    var most = -3.0e38;
    for (var i = lane; i < SAMPLES; i = i + WORKGROUP) {
        most = max(most, -v[row * SAMPLES + i]);
    }
    return -tree_max(lane, most);
}

// sum_i exp(least - v[row SAMPLES + i]); no argument of exp is above 0, so none overflows.
fn sum_of_group(lane: u32, row: u32, least: f32) -> f32 {
    var sum = 0.0;
    for (var i = lane; i < SAMPLES; i = i + WORKGROUP) {
        sum = sum + exp(least - v[row * SAMPLES + i]);
    }
    return tree_sum(lane, sum);
}
