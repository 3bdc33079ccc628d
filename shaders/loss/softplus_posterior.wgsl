// mean = mean, logvar = 2 log(softplus(raw)); input [batch, mean LATENT | raw LATENT], posterior [batch, mean | logvar]
// One invocation a mean and a raw deviation. For very negative raw, with e = exp(raw), softplus is e - e^2 / 2 + ...,
// and its log is raw - e / 2 + ...: no log of a number near 0.

override LATENT: u32;

const TAIL = -12.0;   // from here on the terms left out are below f32's rounding

@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> posterior: array<f32>;

fn element(i: u32) {
    let mean_at = i / LATENT * 2u * LATENT + i % LATENT;
    let raw = input[mean_at + LATENT];
    posterior[mean_at] = input[mean_at];
    if (raw < TAIL) {
        posterior[mean_at + LATENT] = 2.0 * raw - exp(max(raw, -80.0));
    } else {
        posterior[mean_at + LATENT] = 2.0 * log(softplus(raw));
    }
}
