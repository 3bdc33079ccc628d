// activate(x) = tanh x, its argument kept where exp does not overflow

fn activate(x: f32) -> f32 {
    return tanh(clamp(x, -15.0, 15.0));
}

// The slope, from the value y = activate(x).
fn slope(y: f32) -> f32 {
    return 1.0 - y * y;
}

// How the slope changes with the value: d slope(y) / dy.
fn curvature(y: f32) -> f32 {
    return -2.0 * y;
}
