// y = sum_{r < rows, c} parts[r, c] / rows; parts [ROWS, COLS], y [1, 1]
// One workgroup: invocation l sums elements l, l + WORKGROUP, ...; then the tree.

override ROWS: u32;
override COLS: u32;

@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = lane; i < min(step.rows, ROWS) * COLS; i = i + WORKGROUP) {
        sum = sum + parts[i];
    }
    let total = tree_sum(lane, sum);
    if (lane == 0u) {
        y[0] = total / f32(step.rows);
    }
}
