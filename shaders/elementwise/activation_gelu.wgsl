// activate(x) = x Phi(x), Phi the standard normal CDF

fn activate(x: f32) -> f32 {
    return x * normal_cdf(x);
}

// The slope, from the argument x.
fn slope(x: f32) -> f32 {
    return normal_cdf(x) + x * normal_density(x);
}

// How the slope changes with the argument: d slope(x) / dx.
fn curvature(x: f32) -> f32 {
    return normal_density(x) * (2.0 - x * x);
}
