// store(row, sum_{i < length(row)} summand(row, i)) for row < ROWS.
// One workgroup a row: invocation l sums summands l, l + WORKGROUP, ...; then the tree of common/tree.wgsl.

override ROWS: u32;

fn run(row: u32, lane: u32) {
    if (row >= ROWS) {
        return;
    }
    var sum = 0.0;
    for (var i = lane; i < length(row); i = i + WORKGROUP) {
        sum = sum + summand(row, i);
    }
    let total = tree_sum(lane, sum);
    if (lane == 0u) {
        store(row, total);
    }
}
