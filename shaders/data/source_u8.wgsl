// Elements of a data set of bytes, four to a word: byte / 255

@group(0) @binding(DATA) var<storage, read> data: array<u32>;

fn source(at: u32) -> f32 {
    return f32((data[at / 4u] >> (8u * (at % 4u))) & 0xffu) * (1.0 / 255.0);
}

// The four elements from `at` on, a multiple of four: those of a word.
fn source_vec4(at: u32) -> vec4<f32> {
    return vec4<f32>(unpack4xU8(data[at / 4u])) * (1.0 / 255.0);
}
