// x[r, c] = pixel(data[example_at(first + r), c])
// data [EXAMPLES, COLS] bytes, four to a word; x [batch, COLS]. One invocation an element.

override WORKGROUP: u32 = 128u;
override COUNT: u32;
override COLS: u32;
override EXAMPLES: u32;

@group(0) @binding(1) var<storage, read> data: array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group) * WORKGROUP + lane;
    if (i >= COUNT) {
        return;
    }
    let col = i % COLS;
    let position = step.first + i / COLS;
    let example = example_at(min(position, EXAMPLES - 1u), EXAMPLES);
    let at = example * COLS + col;
    let byte = (data[at / 4u] >> (8u * (at % 4u))) & 0xffu;
    x[i] = pixel(byte, position, col);
}
