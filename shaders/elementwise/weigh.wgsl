// y = exp(log_weight) x; x, y of one shape, log_weight one number. One invocation an element.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> log_weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn element(i: u32) {
    y[i] = exp(log_weight[0]) * x[i];
}
