// Element `at` of a data set of bytes, four to a word: byte / 255

@group(0) @binding(DATA) var<storage, read> data: array<u32>;

fn source(at: u32) -> f32 {
    return f32((data[at / 4u] >> (8u * (at % 4u))) & 0xffu) * (1.0 / 255.0);
}
