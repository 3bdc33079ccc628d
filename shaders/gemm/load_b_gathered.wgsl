// b from the data set, element by element.

fn load_b(at: OffsetB) -> f32 {
    return pixel(source(at), 0u, 0u);
}
