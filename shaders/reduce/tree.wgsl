// The sum of one number an invocation, in a tree that is always the same. WORKGROUP is a power of two.

override WORKGROUP: u32 = 64u;

var<workgroup> tree: array<f32, WORKGROUP>;

// Every invocation of the workgroup must call this; each gets the sum.
fn tree_sum(lane: u32, value: f32) -> f32 {
    tree[lane] = value;
    workgroupBarrier();
    for (var width = WORKGROUP / 2u; width > 0u; width = width / 2u) {
        if (lane < width) {
            tree[lane] = tree[lane] + tree[lane + width];
        }
        workgroupBarrier();
    }
    return tree[0];
}
