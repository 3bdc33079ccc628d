// The first row and column of a workgroup's TILE x TILE tile of a result of N columns; rows past the last one have no tile.

fn tile_at(tile: u32) -> vec2<u32> {
    let tiles_across = (N + TILE - 1u) / TILE;
    return TILE * vec2<u32>(tile / tiles_across, tile % tiles_across);
}
