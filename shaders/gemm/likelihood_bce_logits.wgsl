// Binary cross-entropy of a logit y and a target x in [0, 1], and its slope in y.

fn loss(y: f32, x: f32) -> f32 {
    return softplus(y) - y * x;
}

fn d_loss(y: f32, x: f32) -> f32 {
    return sigmoid(y) - x;
}
