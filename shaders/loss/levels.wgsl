// A logistic of mean y over the levels 0, 1/255, ..., 1: twin of src/ops/discretised_logistic.rs, which has the source. Level x lies
// from a to b = a + w in units of the scale; the first level has no end below, the last none above.

const LEVEL = 1.0 / 255.0;

@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> logscale: array<f32>;

fn inverse_scale() -> f32 {
    return exp(min(-logscale[0], 80.0));
}

fn is_first(i: u32) -> bool {
    return x[i] < 0.5 * LEVEL;
}

fn is_last(i: u32) -> bool {
    return x[i] > 1.0 - 0.5 * LEVEL;
}

fn lower_end(i: u32) -> f32 {
    return (x[i] - y[i]) * inverse_scale() - 0.5 * LEVEL * inverse_scale();
}

fn upper_end(i: u32) -> f32 {
    return (x[i] - y[i]) * inverse_scale() + 0.5 * LEVEL * inverse_scale();
}

// The probability beyond the level, above and below it.
fn above(i: u32) -> f32 {
    return select(sigmoid(-upper_end(i)), 0.0, is_last(i));
}

fn below(i: u32) -> f32 {
    return select(sigmoid(lower_end(i)), 0.0, is_first(i));
}
