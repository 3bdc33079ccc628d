// The epilogue's input in half precision, in vec4s: the four elements from `at` on, a multiple of four as N is.

@group(0) @binding(3) var<storage, read> epilogue_input: array<vec2<u32>>;

fn load_input(at: u32, col: u32) -> vec4<f32> {
    return of_halves(epilogue_input[at / 4u]);
}
