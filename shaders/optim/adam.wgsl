// g = clip() gradient, m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, p = decay p - step_size m / (sqrt(v) second_scale + eps)
// Slices of the four arenas of a model, all [1, 4 COUNT]; clip_*.wgsl binds the last three. An invocation has four elements.

override BETA1: f32;
override BETA2: f32;
override GAIN1: f32;   // 1 - BETA1, rounded once
override GAIN2: f32;   // 1 - BETA2
override EPSILON: f32;
override DECAY: u32;          // numbers of the step's scalars: 1 - rate weight_decay,
override STEP_SIZE: u32;      // rate / (1 - beta1^t)
override SECOND_SCALE: u32;   // and 1 / sqrt(1 - beta2^t)

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
