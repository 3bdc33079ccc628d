// The target [M, N] is stored, loaded element by element.

@group(0) @binding(4) var<storage, read> stored_target: array<f32>;

fn target_vec4(row: u32, col: u32) -> vec4<f32> {
    var values: vec4<f32>;
    for (var i = 0u; i < min(4u, N - col); i = i + 1u) {
        values[i] = stored_target[row * N + col + i];
    }
    return values;
}
