// y = factor x; both of one shape
// One invocation an element.

override WORKGROUP: u32 = 128u;
override COUNT: u32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group) * WORKGROUP + lane;
    if (i >= COUNT) {
        return;
    }
    y[i] = factor() * x[i];
}
