// d_x[c] = d_y where x[c] > FLOOR, else 0; x, d_x [1, cols], d_y [1, 1]
// One invocation an element.

override FLOOR: f32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_x: array<f32>;

fn element(i: u32) {
    d_x[i] = select(0.0, d_y[0], x[i] > FLOOR);
}
