// y = 1 where x > 0, else 0; both of one shape
// One invocation an element.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn element(i: u32) {
    y[i] = select(0.0, 1.0, x[i] > 0.0);
}
