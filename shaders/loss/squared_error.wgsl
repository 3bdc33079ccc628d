// loss[r] = sum_c (y - x)^2; y, x [ROWS, COLS], loss [ROWS, 1]
// One workgroup a row: invocation l sums columns l, l + WORKGROUP, ...; then the tree.

override ROWS: u32;
override COLS: u32;

@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group_index(group);
    if (row >= ROWS) {
        return;
    }
    var sum = 0.0;
    for (var c = lane; c < COLS; c = c + WORKGROUP) {
        let difference = y[row * COLS + c] - x[row * COLS + c];
        sum = sum + difference * difference;
    }
    let total = tree_sum(lane, sum);
    if (lane == 0u) {
        loss[row] = total;
    }
}
