// Sums of a workgroup that has 8 neighbouring columns, whose rows WORKGROUP / 8 groups of invocations share.
// Every invocation of the workgroup must call this; each gets its column's sum, which adds the groups' in their order.

const WIDTH = 8u;

fn column_sum(lane: u32, value: f32) -> f32 {
    tree[lane] = value;
    workgroupBarrier();
    var sum = 0.0;
    for (var at = lane % WIDTH; at < WORKGROUP; at = at + WIDTH) {
        sum = sum + tree[at];
    }
    workgroupBarrier();   // each has read before anyone writes again
    return sum;
}
