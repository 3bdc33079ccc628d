// y = log max(x / ELEMENTS, 1e-12); x, y [1, 1]. One invocation.

override ELEMENTS: f32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn element(i: u32) {
    y[i] = log(max(x[i] / ELEMENTS, 1e-12));
}
