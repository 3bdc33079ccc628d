// Element `at` of a data set of reals in half precision, two to a word: as it is

@group(0) @binding(DATA) var<storage, read> data: array<u32>;

fn source(at: u32) -> f32 {
    return unpack2x16float(data[at / 2u])[at % 2u];
}

// The four elements from `at` on, a multiple of four.
fn source_vec4(at: u32) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(data[at / 2u]), unpack2x16float(data[at / 2u + 1u]));
}
