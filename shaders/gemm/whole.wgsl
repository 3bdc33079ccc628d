// One GEMM a dispatch, over all of k.

// The part that a tile belongs to, where each part has so many.
fn part_of(tile: u32, tiles: u32) -> u32 {
    return 0u;
}

// Begins a part: its range of k.
fn begin(part: u32) -> vec2<u32> {
    return vec2<u32>(0u, K);
}

// Finishes up to four sums of a row, from column `col` on.
fn finish(row: u32, col: u32, sums: vec4<f32>) {
    epilogue(row, col, sums);
}
