// b is patches, element by element.

fn load_b(at: OffsetB) -> f32 {
    return load_patch(at);
}
