// a from the data set in vec4s, whose first addresses are multiples of four.

fn load_vec4_a(at: OffsetA) -> vec4<f32> {
    let values = source_vec4(at);
    return vec4<f32>(pixel(values.x, 0u, 0u), pixel(values.y, 0u, 0u), pixel(values.z, 0u, 0u), pixel(values.w, 0u, 0u));
}

fn holds_a(at: OffsetA) -> bool {
    return true;
}
