// The L1 norm: each element's term is its size.

fn norm_term(x: f32) -> f32 {
    return abs(x);
}

// The slope of the term; 0 at 0.
fn norm_slope(x: f32) -> f32 {
    return sign(x);
}
