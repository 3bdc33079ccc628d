// y[i, j] = w[i, j] where output i may know input j, else 0; w and y [out, IN]
// One invocation a weight.

override IN: u32;
override IN_PERIOD: u32;
override IN_REVERSED: u32;
override IN_LEAST: u32;
override OUT_PERIOD: u32;
override OUT_REVERSED: u32;
override OUT_LEAST: u32;

@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// How many variables a column needs, or may know.
fn degree(column: u32, period: u32, reversed: u32, least: u32) -> u32 {
    let at = column % period;
    return least + select(at, period - 1u - at, reversed == 1u);
}

fn element(i: u32) {
    let needs = degree(i % IN, IN_PERIOD, IN_REVERSED, IN_LEAST);
    let knows = degree(i / IN, OUT_PERIOD, OUT_REVERSED, OUT_LEAST);
    y[i] = select(0.0, w[i], needs <= knows);
}
