// A pixel becomes 1 from 1/2 on (of bytes: from 128 on), else 0

fn pixel(grey: f32, position: u32, col: u32) -> f32 {
    return select(0.0, 1.0, grey >= 0.5);
}
