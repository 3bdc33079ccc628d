// d_mean = d_mean, d_raw = d_logvar 2 sigmoid(raw) / softplus(raw)
// input [batch, mean LATENT | raw LATENT], d_posterior [batch, mean | logvar], d_input as input
// One invocation a mean and a raw deviation. For very negative raw, with e = exp(raw), the factor is 2 - e + ...

override LATENT: u32;

const TAIL = -12.0;   // from here on the terms left out are below f32's rounding

@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> d_posterior: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_input: array<f32>;

fn element(i: u32) {
    let mean_at = i / LATENT * 2u * LATENT + i % LATENT;
    let raw = input[mean_at + LATENT];
    d_input[mean_at] = d_posterior[mean_at];
    if (raw < TAIL) {
        d_input[mean_at + LATENT] = d_posterior[mean_at + LATENT] * (2.0 - exp(max(raw, -80.0)));
    } else {
        d_input[mean_at + LATENT] = d_posterior[mean_at + LATENT] * 2.0 * sigmoid(raw) / softplus(raw);
    }
}
