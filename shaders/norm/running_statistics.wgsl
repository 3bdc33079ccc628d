// statistics[c] = running_mean[c], running_variance[c]; both [CHANNELS], statistics [CHANNELS, 2]
// One invocation a channel.

@group(0) @binding(1) var<storage, read> running_mean: array<f32>;
@group(0) @binding(2) var<storage, read> running_variance: array<f32>;
@group(0) @binding(3) var<storage, read_write> statistics: array<f32>;

fn element(c: u32) {
    statistics[2u * c] = running_mean[c];
    statistics[2u * c + 1u] = running_variance[c];
}
