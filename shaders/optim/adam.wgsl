// g = clip() gradient, m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, p = decay p - step_size m / (sqrt(v) second_scale + eps)
// parameter, first, second, gradient: parts of four arenas, [1, 4 COUNT]; adam_*clipped.wgsl declares the first three.
// One invocation a vec4.

override BETA1: f32;
override BETA2: f32;
override GAIN1: f32;   // 1 - BETA1, rounded once
override GAIN2: f32;   // 1 - BETA2
override EPSILON: f32;
override DECAY: u32;          // number of the scalar 1 - rate weight_decay
override STEP_SIZE: u32;      // number of the scalar rate / (1 - beta1^t)
override SECOND_SCALE: u32;   // number of the scalar 1 / sqrt(1 - beta2^t)

@group(0) @binding(1) var<storage, read> gradient: array<vec4<f32>>;

fn element(i: u32) {
    let g = gradient[i] * clip();
    let m = BETA1 * first[i] + GAIN1 * g;
    let v = BETA2 * second[i] + GAIN2 * g * g;
    first[i] = m;
    second[i] = v;
    let change = scalar(STEP_SIZE) * m / (sqrt(v) * scalar(SECOND_SCALE) + EPSILON);
    parameter[i] = scalar(DECAY) * parameter[i] - change;
}
