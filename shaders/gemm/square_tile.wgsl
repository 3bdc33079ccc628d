// Tiles of TILE x TILE of a result of M rows and N columns, line by line.

// How many there are.
fn tile_count() -> u32 {
    return (M + TILE - 1u) / TILE * ((N + TILE - 1u) / TILE);
}

// The first row and column of a tile; those past the last one have rows past the last one.
fn tile_at(tile: u32) -> vec2<u32> {
    let tiles_across = (N + TILE - 1u) / TILE;
    return TILE * vec2<u32>(tile / tiles_across, tile % tiles_across);
}
