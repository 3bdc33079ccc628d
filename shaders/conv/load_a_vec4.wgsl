// a is patches, in vec4s of channels.

fn load_vec4_a(at: OffsetA) -> vec4<f32> {
    return load_vec4_of_patch(at);
}

fn holds_a(at: OffsetA) -> bool {
    return is_in_image(at);
}
