// b is patches, in vec4s of channels.

fn load_vec4_b(at: OffsetB) -> vec4<f32> {
    return load_vec4_of_patch(at);
}

fn holds_b(at: OffsetB) -> bool {
    return is_in_image(at);
}
