// running = (1 - MOMENTUM) running + MOMENTUM value, of each of the statistics in turn; variances times m / (m - 1),
// m = rows PIXELS the elements behind each; running_mean, running_variance [CHANNELS]. One invocation a channel.

override MOMENTUM: f32;
override KEPT: f32;   // 1 - MOMENTUM, rounded once
override PIXELS: u32;

@group(0) @binding(RUNNING_MEAN) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(RUNNING_VARIANCE) var<storage, read_write> running_variance: array<f32>;

fn element(c: u32) {
    let elements = f32(step.rows * PIXELS);
    let unbiased = elements / max(elements - 1.0, 1.0);
    var mean = running_mean[c];
    var variance = running_variance[c];
    for (var number = 0u; number < UPDATES; number = number + 1u) {
        mean = KEPT * mean + MOMENTUM * statistic(number, 2u * c);
        variance = KEPT * variance + MOMENTUM * (unbiased * statistic(number, 2u * c + 1u));
    }
    running_mean[c] = mean;
    running_variance[c] = variance;
}
