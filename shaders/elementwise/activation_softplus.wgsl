// activate(x) = log(1 + exp(x))

fn activate(x: f32) -> f32 {
    return softplus(x);
}

// The slope, from the value y = activate(x).
fn slope(y: f32) -> f32 {
    return 1.0 - exp(-y);
}

// How the slope changes with the value: d slope(y) / dy.
fn curvature(y: f32) -> f32 {
    return exp(-y);
}
