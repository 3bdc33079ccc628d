// The squared L2 norm: each element's term is its square.

fn norm_term(x: f32) -> f32 {
    return x * x;
}

// The slope of the term.
fn norm_slope(x: f32) -> f32 {
    return 2.0 * x;
}
