// y = sum_c max(x[c], FLOOR); x [1, COLS], y [1, 1]. One workgroup: invocation l sums columns l, l + WORKGROUP, ...

override COLS: u32;
override FLOOR: f32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var c = lane; c < COLS; c = c + WORKGROUP) {
        sum = sum + select(x[c], FLOOR, x[c] < FLOOR);
    }
    let total = tree_sum(lane, sum);
    if (lane == 0u) {
        y[0] = total;
    }
}
