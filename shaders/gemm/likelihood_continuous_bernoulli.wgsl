// Negative log-likelihood of a target x in [0, 1] by the continuous Bernoulli of logit y, and its slope in y.

fn loss(y: f32, x: f32) -> f32 {
    return cumulant(y) - y * x;
}

fn d_loss(y: f32, x: f32) -> f32 {
    return cumulant_slope(y) - x;
}
