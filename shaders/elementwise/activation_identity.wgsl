// activate(x) = x

fn activate(x: f32) -> f32 {
    return x;
}

// The slope, from the value y = activate(x).
fn slope(y: f32) -> f32 {
    return 1.0;
}

// How the slope changes with the value: d slope(y) / dy.
fn curvature(y: f32) -> f32 {
    return 0.0;
}
