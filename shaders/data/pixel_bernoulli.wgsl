// A pixel becomes 1 with its value as probability, else 0; drawn for (step, position in the epoch, column)

override STREAM: u32;

fn pixel(grey: f32, position: u32, col: u32) -> f32 {
    let draw = uniform_from_bits(draw_bits(step.seed, STREAM, step.index, position, col));
    return select(0.0, 1.0, draw < grey);
}
