// terms[r] = (sum_c parts[r, c], KL of posterior row r); parts [ROWS, COLS], posterior [ROWS, mean LATENT | logvar LATENT],
// terms [ROWS, 2]
// One workgroup a row: invocation l sums elements l, l + WORKGROUP, ... of each; then the tree.

override ROWS: u32;
override COLS: u32;
override LATENT: u32;

@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read> posterior: array<f32>;
@group(0) @binding(3) var<storage, read_write> row_terms: array<f32>;

fn run(row: u32, lane: u32) {
    if (row >= ROWS) {
        return;
    }
    var loss = 0.0;
    for (var i = lane; i < COLS; i = i + WORKGROUP) {
        loss = loss + parts[row * COLS + i];
    }
    var kl = 0.0;
    for (var i = lane; i < LATENT; i = i + WORKGROUP) {
        let mean = posterior[row * 2u * LATENT + i];
        let logvar = posterior[row * 2u * LATENT + LATENT + i];
        kl = kl + exp(min(logvar, 80.0)) + mean * mean - 1.0 - logvar;
    }
    loss = tree_sum(lane, loss);
    kl = tree_sum(lane, kl);
    if (lane == 0u) {
        row_terms[2u * row] = loss;
        row_terms[2u * row + 1u] = 0.5 * kl;
    }
}
