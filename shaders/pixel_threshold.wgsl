// byte -> 1 from 128 on, else 0

fn pixel(byte: u32, position: u32, col: u32) -> f32 {
    return select(0.0, 1.0, byte >= 128u);
}
