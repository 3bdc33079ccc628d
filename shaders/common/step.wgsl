// The values of the running step: one row of a uniform buffer, bound at a dynamic offset. Twin of src/step.rs.

struct Step {
    index: vec2<u32>,              // step number, low and high word
    first: u32,                    // position in the epoch of batch row 0
    rows: u32,                     // rows of the batch that count
    seed: u32,
    slot: u32,                     // row of the metrics ring
    order: array<vec4<u32>, 2>,    // round keys of the epoch's permutation
    scalars: array<vec4<f32>, 2>,  // what the program lists, in its order
}

@group(0) @binding(0) var<uniform> step: Step;

fn scalar(number: u32) -> f32 {
    return step.scalars[number / 4u][number % 4u];
}
