// store(row, sum_{i < terms(row)} term(row, i)) for row < ROWS.
// One workgroup a row: invocation l sums terms l, l + WORKGROUP, ...; then the tree of common/tree.wgsl.

override ROWS: u32;

fn run(row: u32, lane: u32) {
    if (row >= ROWS) {
        return;
    }
    var sum = 0.0;
    for (var i = lane; i < terms(row); i = i + WORKGROUP) {
        sum = sum + term(row, i);
    }
    let total = tree_sum(lane, sum);
    if (lane == 0u) {
        store(row, total);
    }
}
