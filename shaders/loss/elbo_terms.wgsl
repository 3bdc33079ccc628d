// row_terms[r] = (sum_c parts[r, c], KL of posterior row r); parts [ROWS, COLS], posterior of ROWS rows, row_terms [ROWS, 2]
// One workgroup a row: invocation l sums elements l, l + WORKGROUP, ... of each; then the tree.

override ROWS: u32;
override COLS: u32;

@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(3) var<storage, read_write> row_terms: array<f32>;

fn run(row: u32, lane: u32) {
    if (row >= ROWS) {
        return;
    }
    var recon = 0.0;
    for (var i = lane; i < COLS; i = i + WORKGROUP) {
        recon = recon + parts[row * COLS + i];
    }
    var kl = 0.0;
    for (var i = lane; i < LATENT; i = i + WORKGROUP) {
        kl = kl + kl_of(row, i);
    }
    recon = tree_sum(lane, recon);
    kl = tree_sum(lane, kl);
    if (lane == 0u) {
        row_terms[2u * row] = recon;
        row_terms[2u * row + 1u] = kl;
    }
}
