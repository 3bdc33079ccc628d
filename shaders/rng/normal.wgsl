// z[r, e] = the normal of example first + r, element e; z [examples, LATENT]
// One invocation an element.

override WORKGROUP: u32 = 128u;
override COUNT: u32;
override LATENT: u32;
override STREAM: u32;

@group(0) @binding(1) var<storage, read_write> z: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group) * WORKGROUP + lane;
    if (i >= COUNT) {
        return;
    }
    z[i] = normal_from_bits(draw_bits(step.seed, STREAM, step.index, step.first + i / LATENT, i % LATENT));
}
