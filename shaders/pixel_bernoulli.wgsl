// byte -> 1 with probability byte / 255, else 0; drawn for (step, position in the epoch, column)

override STREAM: u32;

fn pixel(byte: u32, position: u32, col: u32) -> f32 {
    let draw = uniform_from_bits(draw_bits(step.seed, STREAM, step.index, position, col));
    return select(0.0, 1.0, draw < f32(byte) * (1.0 / 255.0));
}
