// Elements of a data set of reals, as they are: the four from `at` on, a multiple of four

@group(0) @binding(DATA) var<storage, read> data: array<vec4<f32>>;

fn source_vec4(at: u32) -> vec4<f32> {
    return data[at / 4u];
}
