// The largest of one number an invocation, in the memory of reduce/tree.wgsl, which may be used again at once.

// Every invocation of the workgroup must call this; each gets the maximum.
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
    workgroupBarrier();   // each has read before anyone writes
    return largest;
}
