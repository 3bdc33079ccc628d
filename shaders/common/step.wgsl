// The values of the running step: one row of a uniform buffer, bound at a dynamic offset. Twin of src/step.rs.

struct Step {
    index: vec2<u32>,             // step number, low and high word
    first: u32,                   // position in the epoch of batch row 0
    rows: u32,                    // rows of the batch that count
    seed: u32,
    slot: u32,                    // row of the metrics ring
    step_size: f32,               // Adam: rate / (1 - beta1^t)
    second_scale: f32,            // Adam: 1 / sqrt(1 - beta2^t)
    order: array<vec4<u32>, 2>,   // round keys of the epoch's permutation
    beta: f32,                    // weight of the KL term
    decay: f32,                   // AdamW: 1 - rate * weight decay
}

@group(0) @binding(0) var<uniform> step: Step;
