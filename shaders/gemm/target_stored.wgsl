// The target [M, N] is stored, loaded element by element.

@group(0) @binding(4) var<storage, read> stored_target: array<f32>;

fn target_vec4(row: u32, col: u32) -> vec4<f32> {
    let start = row * N + col;
    // Behind the last column it is loaded again, as in gemm/epilogue_input.wgsl.
    let last = min(3u, N - 1u - col);
    return vec4<f32>(
        stored_target[start],
        stored_target[start + min(1u, last)],
        stored_target[start + min(2u, last)],
        stored_target[start + last],
    );
}
