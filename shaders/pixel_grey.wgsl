// byte -> byte / 255

fn pixel(byte: u32, position: u32, col: u32) -> f32 {
    return f32(byte) * (1.0 / 255.0);
}
