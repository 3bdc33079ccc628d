// activate(x) = 1 / (1 + exp(-x))

fn activate(x: f32) -> f32 {
    return sigmoid(x);
}

// The slope, from the value y = activate(x).
fn slope(y: f32) -> f32 {
    return y * (1.0 - y);
}

// How the slope changes with the value: d slope(y) / dy.
fn curvature(y: f32) -> f32 {
    return 1.0 - 2.0 * y;
}
