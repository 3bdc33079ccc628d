// d_x = d_y / x, 0 where x / ELEMENTS is 1e-12 or less; x, d_y, d_x [1, 1]. One invocation.

override ELEMENTS: f32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_x: array<f32>;

fn element(i: u32) {
    let is_above = x[i] / ELEMENTS > 1e-12;
    d_x[i] = select(0.0, d_y[i] / select(1.0, x[i], is_above), is_above);
}
