// One GEMM of a long k, shared out among PARTS: each sums PART_K of it and leaves its sums in scratch memory
// [PARTS, M, ceil(N / 4)], which gemm/add_parts.wgsl adds.

override PARTS: u32;
override PART_K: u32;

@group(0) @binding(SCRATCH) var<storage, read_write> partial: array<vec4<f32>>;

var<private> part_number: u32;

fn part_of(tile: u32, tiles: u32) -> u32 {
    return min(tile / tiles, PARTS - 1u);
}

fn begin(part: u32) -> vec2<u32> {
    part_number = part;
    return vec2<u32>(part * PART_K, min(K, (part + 1u) * PART_K));
}

fn finish(row: u32, col: u32, sums: vec4<f32>) {
    partial[(part_number * M + row) * ((N + 3u) / 4u) + col / 4u] = sums;
}
