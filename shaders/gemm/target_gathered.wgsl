// The target [M, N] is a batch, read from the data set element by element.

fn target_vec4(row: u32, col: u32) -> vec4<f32> {
    let start = gathered_row(row) * N + col;
    var values: vec4<f32>;
    for (var i = 0u; i < min(4u, N - col); i = i + 1u) {
        values[i] = pixel(source(start + i), 0u, 0u);
    }
    return values;
}
