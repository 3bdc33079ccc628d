// y = VALUE everywhere
// One invocation an element.

override VALUE: f32;

@group(0) @binding(1) var<storage, read_write> y: array<f32>;

fn element(i: u32) {
    y[i] = VALUE;
}
