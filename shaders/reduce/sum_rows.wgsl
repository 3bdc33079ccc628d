// y[c] = sum_r x[r, c], in the order of the rows; x [ROWS, COUNT], y [1, COUNT]
// One invocation an element.

override WORKGROUP: u32 = 128u;
override COUNT: u32;
override ROWS: u32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group) * WORKGROUP + lane;
    if (i >= COUNT) {
        return;
    }
    var sum = 0.0;
    for (var r = 0u; r < ROWS; r = r + 1u) {
        sum = sum + x[r * COUNT + i];
    }
    y[i] = sum;
}
