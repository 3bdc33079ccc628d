// z[r, e] = the normal of example first + r, element e; z [examples, LATENT]
// One invocation an element.

override LATENT: u32;
override STREAM: u32;

@group(0) @binding(1) var<storage, read_write> z: array<f32>;

fn element(i: u32) {
    z[i] = normal_from_bits(draw_bits(step.seed, STREAM, step.index, step.first + i / LATENT, i % LATENT));
}
