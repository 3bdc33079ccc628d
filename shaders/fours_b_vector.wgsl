// Fours of b, which is stored [K, B_COLS], B_COLS a multiple of four: each is one load. Past the last stored column there
// are ones: the column of ones of finish_column_sums.wgsl, and what no other end stores.

override B_COLS: u32;

@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;

const B_ALONG = false;

// Where columns from `col` on begin, in fours.
fn cols_b(col: u32) -> vec4<u32> {
    return vec4<u32>(col / 4u);
}

fn four_b(cols: vec4<u32>, k: u32) -> vec4<f32> {
    if (cols.x >= B_COLS / 4u) {
        return vec4<f32>(1.0);
    }
    return b[cols.x + k * (B_COLS / 4u)];
}
