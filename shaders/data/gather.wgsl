// x[r, c] = pixel(source(gathered_row(r), c))
// data [EXAMPLES, COLS], read through source(); x [batch, COLS]. One invocation an element.

override WORKGROUP: u32 = 128u;
override COUNT: u32;
override COLS: u32;

@group(0) @binding(2) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group) * WORKGROUP + lane;
    if (i >= COUNT) {
        return;
    }
    let col = i % COLS;
    let row = i / COLS;
    x[i] = pixel(source(gathered_row(row) * COLS + col), step.first + row, col);
}
