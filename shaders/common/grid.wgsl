// Dispatches are lines of workgroups, folded at 65535 a row because that is how many WebGPU allows a dimension.

fn group_index(group: vec3<u32>) -> u32 {
    return group.x + group.y * 65535u;
}
