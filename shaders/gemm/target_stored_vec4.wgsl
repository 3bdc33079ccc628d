// The target [M, N] is stored, loaded in vec4s. N is a multiple of four.

@group(0) @binding(4) var<storage, read> stored_target: array<vec4<f32>>;

fn target_vec4(row: u32, col: u32) -> vec4<f32> {
    return stored_target[(row * N + col) / 4u];
}
