// x -> 0 with probability FRACTION, else x

override FRACTION: f32;

fn corrupted(x: f32, bits: u32) -> f32 {
    return select(x, 0.0, uniform_from_bits(bits) < FRACTION);
}
