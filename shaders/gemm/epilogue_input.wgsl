// The epilogue's input, element by element: up to four from `at` on, those of columns from `col` on.

@group(0) @binding(3) var<storage, read> epilogue_input: array<f32>;

fn load_input(at: u32, col: u32) -> vec4<f32> {
    var values: vec4<f32>;
    for (var i = 0u; i < min(4u, N - col); i = i + 1u) {
        values[i] = epilogue_input[at + i];
    }
    return values;
}
