// y = A'(l), the mean of the continuous Bernoulli of logit l; both of one shape
// One invocation an element.

@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn element(i: u32) {
    y[i] = cumulant_slope(logits[i]);
}
