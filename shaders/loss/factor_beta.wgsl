// The factor is the weight of the KL term in this step.

fn factor() -> f32 {
    return step.beta;
}
