// The entry point of a kernel that adds by subgroups: as common/main.wgsl, and each invocation knows its subgroup.

override WORKGROUP: u32;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) id: u32,
    @builtin(num_subgroups) count: u32,
    @builtin(subgroup_invocation_id) member: u32,
) {
    subgroup = Subgroup(id, count, member);
    run(group.x + group.y * 65535u, lane);
}
