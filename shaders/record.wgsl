// metrics[slot] = (loss, reconstruction, divergence); each input [1, 1], metrics [slots, 3]. One invocation.

@group(0) @binding(1) var<storage, read> loss: array<f32>;
@group(0) @binding(2) var<storage, read> reconstruction: array<f32>;
@group(0) @binding(3) var<storage, read> divergence: array<f32>;
@group(0) @binding(4) var<storage, read_write> metrics: array<f32>;

@compute @workgroup_size(1)
fn main() {
    metrics[step.slot * 3u] = loss[0];
    metrics[step.slot * 3u + 1u] = reconstruction[0];
    metrics[step.slot * 3u + 2u] = divergence[0];
}
