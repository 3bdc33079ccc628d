// y[r] = sum_c norm_term(x[r, c]); x [ROWS, COLS], y [ROWS, 1]
// One workgroup a row: invocation l sums columns l, l + WORKGROUP, ...; then the tree.

override ROWS: u32;
override COLS: u32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group_index(group);
    if (row >= ROWS) {
        return;
    }
    var sum = 0.0;
    for (var c = lane; c < COLS; c = c + WORKGROUP) {
        sum = sum + norm_term(x[row * COLS + c]);
    }
    let total = tree_sum(lane, sum);
    if (lane == 0u) {
        y[row] = total;
    }
}
