// d_x = d_y slope(kept), kept being y or x, as the activation needs; all of one shape
// One invocation an element.

@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_x: array<f32>;

fn element(i: u32) {
    d_x[i] = d_y[i] * slope(load_x(i));
}
