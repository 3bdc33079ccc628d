// a from the data set, element by element.

fn load_a(at: OffsetA) -> f32 {
    return pixel(source(at), 0u, 0u);
}
