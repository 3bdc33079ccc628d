// d = curvature(y) d_y g, curvature being d slope(y) / dy; all [rows, cols]
// One invocation an element.

override WORKGROUP: u32 = 128u;
override COUNT: u32;

@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read> g: array<f32>;
@group(0) @binding(4) var<storage, read_write> d: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group) * WORKGROUP + lane;
    if (i >= COUNT) {
        return;
    }
    d[i] = curvature(y[i]) * d_y[i] * g[i];
}
