// d_s[r] = exp(-logvar) / 2 d_y[r]; d_y, d_s [batch, 1], logvar [1, 1]
// One invocation a row.

override WORKGROUP: u32 = 128u;
override COUNT: u32;

@group(0) @binding(1) var<storage, read> logvar: array<f32>;
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_s: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group) * WORKGROUP + lane;
    if (i >= COUNT) {
        return;
    }
    d_s[i] = 0.5 * exp(min(-logvar[0], 80.0)) * d_y[i];
}
