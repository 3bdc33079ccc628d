// The functions of common/tree.wgsl where subgroups add, of any size: each adds its own numbers, then every invocation adds the
// subgroups' sums in their order. Two barriers, where the tree has two and one for each time that it halves.

struct Subgroup { id: u32, count: u32, member: u32 }

var<private> subgroup: Subgroup;
var<workgroup> tree: array<f32, WORKGROUP>;   // a number a subgroup; kernels that use it themselves have one an invocation

fn tree_sum(lane: u32, value: f32) -> f32 {
    let part = subgroupAdd(value);
    if (subgroup.member == 0u) {
        tree[subgroup.id] = part;
    }
    workgroupBarrier();
    var sum = tree[0];
    for (var id = 1u; id < subgroup.count; id = id + 1u) {
        sum = sum + tree[id];
    }
    workgroupBarrier();   // each has read before anyone writes again
    return sum;
}

fn tree_max(lane: u32, value: f32) -> f32 {
    let part = subgroupMax(value);
    if (subgroup.member == 0u) {
        tree[subgroup.id] = part;
    }
    workgroupBarrier();
    var largest = tree[0];
    for (var id = 1u; id < subgroup.count; id = id + 1u) {
        largest = max(largest, tree[id]);
    }
    workgroupBarrier();   // each has read before anyone writes again
    return largest;
}
