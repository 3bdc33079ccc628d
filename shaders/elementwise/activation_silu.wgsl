// activate(x) = x / (1 + exp(-x))

fn activate(x: f32) -> f32 {
    return x * sigmoid(x);
}

// The slope, from the argument x.
fn slope(x: f32) -> f32 {
    let s = sigmoid(x);
    return s + s * (x * (1.0 - s));
}

// How the slope changes with the argument: d slope(x) / dx.
fn curvature(x: f32) -> f32 {
    let s = sigmoid(x);
    let rest = 1.0 - s;
    return s * rest * (2.0 + x * (rest - s));
}
