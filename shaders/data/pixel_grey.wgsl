// A pixel stays grey

fn pixel(grey: f32, position: u32, col: u32) -> f32 {
    return grey;
}
