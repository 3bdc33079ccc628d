// The sum and the maximum of one number an invocation, in a tree that is always the same. WORKGROUP is a power of two.
// Every invocation of the workgroup must call these; each gets the result, and may call one again at once.

var<workgroup> tree: array<f32, WORKGROUP>;

fn tree_sum(lane: u32, value: f32) -> f32 {
    tree[lane] = value;
    workgroupBarrier();
    for (var width = WORKGROUP / 2u; width > 0u; width = width / 2u) {
        if (lane < width) {
            tree[lane] = tree[lane] + tree[lane + width];
        }
        workgroupBarrier();
    }
    let sum = tree[0];
    workgroupBarrier();   // each has read before anyone writes again
    return sum;
}

fn tree_max(lane: u32, value: f32) -> f32 {
    tree[lane] = value;
    workgroupBarrier();
    for (var width = WORKGROUP / 2u; width > 0u; width = width / 2u) {
        if (lane < width) {
            tree[lane] = max(tree[lane], tree[lane + width]);
        }
        workgroupBarrier();
    }
    let largest = tree[0];
    workgroupBarrier();   // each has read before anyone writes again
    return largest;
}
