// log_weight' = log_weight + RATE (TARGET - value), kept within LIMIT of 0; the weight is updated in place. One invocation.

override TARGET: f32;
override RATE: f32;
override LIMIT: f32;

@group(0) @binding(1) var<storage, read> value: array<f32>;
@group(0) @binding(2) var<storage, read_write> log_weight: array<f32>;

fn element(i: u32) {
    log_weight[i] = clamp(log_weight[i] + RATE * (TARGET - value[i]), -LIMIT, LIMIT);
}
