// The epilogue's input, element by element: up to four from `at` on, those of columns from `col` on.

@group(0) @binding(3) var<storage, read> epilogue_input: array<f32>;

fn load_input(at: u32, col: u32) -> vec4<f32> {
    // Behind the last column it is loaded again, and used for nothing. FXC refuses some loops that write an index into a vector.
    let last = min(3u, N - 1u - col);
    return vec4<f32>(
        epilogue_input[at],
        epilogue_input[at + min(1u, last)],
        epilogue_input[at + min(2u, last)],
        epilogue_input[at + last],
    );
}
