// The target [M, N] is a batch, read from the data set element by element.

fn target_at(at: u32) -> f32 {
    return pixel(source(at), 0u, 0u);
}

fn target_vec4(row: u32, col: u32) -> vec4<f32> {
    let start = gathered_row(row) * N + col;
    // Behind the last column it is loaded again, as in gemm/epilogue_input.wgsl.
    let last = min(3u, N - 1u - col);
    return vec4<f32>(
        target_at(start),
        target_at(start + min(1u, last)),
        target_at(start + min(2u, last)),
        target_at(start + last),
    );
}
