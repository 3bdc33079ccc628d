// The epilogue's input in half precision, element by element: up to four from `at` on, those of columns from `col` on.

@group(0) @binding(3) var<storage, read> epilogue_input: array<u32>;

fn load_input(at: u32, col: u32) -> vec4<f32> {
    // Behind the last column it is loaded again, and used for nothing.
    let last = min(3u, N - 1u - col);
    let all = vec4<u32>(at, at + min(1u, last), at + min(2u, last), at + last);
    return vec4<f32>(
        half_in(epilogue_input[all.x / 2u], all.x),
        half_in(epilogue_input[all.y / 2u], all.y),
        half_in(epilogue_input[all.z / 2u], all.z),
        half_in(epilogue_input[all.w / 2u], all.w),
    );
}
