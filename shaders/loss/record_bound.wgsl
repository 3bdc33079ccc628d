// metrics[slot] = recon + factor() kl, recon, kl: the means over the rows that count of the sums of parts [ROWS, COLS] and of
// the KL of posterior [ROWS, mean LATENT | logvar LATENT]
// One workgroup: invocation l sums elements l, l + WORKGROUP, ... of each; then the tree.

override ROWS: u32;
override COLS: u32;
override LATENT: u32;
override METRICS: u32;

@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read> posterior: array<f32>;
@group(0) @binding(3) var<storage, read_write> metrics: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) lane: u32) {
    let rows = min(step.rows, ROWS);
    var losses = 0.0;
    for (var i = lane; i < rows * COLS; i = i + WORKGROUP) {
        losses = losses + parts[i];
    }
    var kls = 0.0;
    for (var i = lane; i < rows * LATENT; i = i + WORKGROUP) {
        let at = i / LATENT * 2u * LATENT + i % LATENT;
        let mean = posterior[at];
        let logvar = posterior[at + LATENT];
        kls = kls + exp(min(logvar, 80.0)) + mean * mean - 1.0 - logvar;
    }
    let recon = tree_sum(lane, losses) / f32(step.rows);
    workgroupBarrier();   // all have read the first sum before the tree is used again
    let kl = 0.5 * tree_sum(lane, kls) / f32(step.rows);
    if (lane == 0u) {
        metrics[step.slot * METRICS] = recon + factor() * kl;
        metrics[step.slot * METRICS + 1u] = recon;
        metrics[step.slot * METRICS + 2u] = kl;
    }
}
