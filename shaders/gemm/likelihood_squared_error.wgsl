// Squared error of an output y and a target x, and its slope in y.

fn loss(y: f32, x: f32) -> f32 {
    return (y - x) * (y - x);
}

fn d_loss(y: f32, x: f32) -> f32 {
    return 2.0 * (y - x);
}
