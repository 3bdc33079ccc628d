// a is patches, element by element.

fn load_a(at: OffsetA) -> f32 {
    return load_patch(at);
}
