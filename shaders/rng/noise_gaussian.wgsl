// x -> x + DEVIATION eps, eps standard normal

override DEVIATION: f32;

fn corrupted(x: f32, bits: u32) -> f32 {
    return x + DEVIATION * normal_from_bits(bits);
}
