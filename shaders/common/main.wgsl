// The entry point of a kernel: run(group, lane) for each workgroup and invocation of it.
// A dispatch is a line of workgroups, folded at 65535 a row because that is how many WebGPU allows a dimension.

override WORKGROUP: u32;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    run(group.x + group.y * 65535u, lane);
}
