// The normal that a draw of latents takes in row `row` for `element`. Twin of noise() in src/ops/reparameterise.rs.

override STREAM: u32;
override SAMPLES: u32;   // consecutive rows of one example

fn latent_noise(row: u32, element: u32) -> f32 {
    return normal_from_bits(draw_bits(step.seed, STREAM, step.index, step.first * SAMPLES + row, element));
}
