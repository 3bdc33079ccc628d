// metrics[slot, FIRST ..] = recon + factor() kl, recon, kl: the means of both columns of row_terms [BATCH, 2] over the rows that count
// One workgroup: invocation l sums rows l, l + WORKGROUP, ...; then the tree.

override BATCH: u32;
override FIRST: u32;
override COLS: u32;

@group(0) @binding(1) var<storage, read> row_terms: array<f32>;
@group(0) @binding(2) var<storage, read_write> metrics: array<f32>;

fn run(group: u32, lane: u32) {
    if (group > 0u) {
        return;
    }
    var recon = 0.0;
    var kl = 0.0;
    for (var r = lane; r < min(step.rows, BATCH); r = r + WORKGROUP) {
        recon = recon + row_terms[2u * r];
        kl = kl + row_terms[2u * r + 1u];
    }
    let recon_mean = tree_sum(lane, recon) / f32(step.rows);
    let kl_mean = tree_sum(lane, kl) / f32(step.rows);
    if (lane == 0u) {
        let at = step.slot * COLS + FIRST;
        metrics[at] = recon_mean + factor() * kl_mean;
        metrics[at + 1u] = recon_mean;
        metrics[at + 2u] = kl_mean;
    }
}
