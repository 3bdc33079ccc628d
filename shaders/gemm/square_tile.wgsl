// Tiles of TILE x TILE of a result of M rows and N columns, line by line.

// A workgroup's part, and its tile's first row and column; tiles past the last one have rows past the last one.
fn tile_of(group: u32) -> vec3<u32> {
    let tiles_across = (N + TILE - 1u) / TILE;
    let tiles = (M + TILE - 1u) / TILE * tiles_across;
    let part = part_of(group, tiles);
    let tile = group - part * tiles;
    return vec3<u32>(part, TILE * (tile / tiles_across), TILE * (tile % tiles_across));
}
