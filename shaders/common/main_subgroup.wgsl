// The entry point of a kernel whose workgroups are subgroups: as common/main.wgsl, but a lane is a subgroup's.

override WORKGROUP: u32;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    run(group.x + group.y * 65535u, lane);
}
