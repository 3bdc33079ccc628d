// Element `at` of a data set of reals in half precision, two to a word: as it is

@group(0) @binding(DATA) var<storage, read> data: array<u32>;

fn source(at: u32) -> f32 {
    return unpack2x16float(data[at / 2u])[at % 2u];
}
