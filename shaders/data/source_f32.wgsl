// Element `at` of a data set of reals: as it is

@group(0) @binding(DATA) var<storage, read> data: array<f32>;

fn source(at: u32) -> f32 {
    return data[at];
}
