// d_l = (sigmoid(l) - x) d_loss[r]; logits, x, d_logits [batch, COLS], d_loss [batch, 1]
// One invocation an element.

override WORKGROUP: u32 = 128u;
override COUNT: u32;
override COLS: u32;

@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> d_loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_logits: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group) * WORKGROUP + lane;
    if (i >= COUNT) {
        return;
    }
    d_logits[i] = (sigmoid(logits[i]) - x[i]) * d_loss[i / COLS];
}
