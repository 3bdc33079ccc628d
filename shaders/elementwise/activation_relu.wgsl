// activate(x) = max(x, 0)

fn activate(x: f32) -> f32 {
    return max(x, 0.0);
}

// The slope, from the value y = activate(x).
fn slope(y: f32) -> f32 {
    return select(0.0, 1.0, y > 0.0);
}

// How the slope changes with the value: d slope(y) / dy.
fn curvature(y: f32) -> f32 {
    return 0.0;
}
