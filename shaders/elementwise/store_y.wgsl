// y[i] = value(i): an invocation stores one.

@group(0) @binding(Y) var<storage, read_write> y: array<f32>;

fn element(i: u32) {
    y[i] = value(i);
}
