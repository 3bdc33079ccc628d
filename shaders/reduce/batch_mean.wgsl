// y = sum_{r < rows} x[r] / rows; x [BATCH, 1], y [1, 1]. One workgroup: invocation l sums rows l, l + WORKGROUP, ...

override BATCH: u32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) lane: u32) {
    let rows = min(step.rows, BATCH);
    var sum = 0.0;
    for (var r = lane; r < rows; r = r + WORKGROUP) {
        sum = sum + x[r];
    }
    let total = tree_sum(lane, sum);
    if (lane == 0u) {
        y[0] = total / f32(step.rows);
    }
}
