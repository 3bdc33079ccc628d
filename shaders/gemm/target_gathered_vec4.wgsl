// The target [M, N] is a batch, read from the data set in vec4s. N is a multiple of four.

fn target_vec4(row: u32, col: u32) -> vec4<f32> {
    let values = source_vec4(gathered_row(row) * N + col);
    return vec4<f32>(pixel(values.x, 0u, 0u), pixel(values.y, 0u, 0u), pixel(values.z, 0u, 0u), pixel(values.w, 0u, 0u));
}
