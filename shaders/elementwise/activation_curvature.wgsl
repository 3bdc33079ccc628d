// d = curvature(kept) d_y g, curvature being d slope(kept) / d kept; all of one shape
// One invocation an element.

@group(0) @binding(1) var<storage, read> kept: array<f32>;
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read> g: array<f32>;
@group(0) @binding(4) var<storage, read_write> d: array<f32>;

fn element(i: u32) {
    d[i] = curvature(kept[i]) * d_y[i] * g[i];
}
