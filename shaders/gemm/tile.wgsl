// Tiles of TILE_M x TILE_N of a result of M rows and N columns, in bands of BAND tiles downwards, column by column: workgroups that run
// at one time read few rows of a and few columns of b, which their cache then holds.

const BAND = 8u;

// A workgroup's part, and its tile's first row and column; tiles past the last one have rows past the last one.
fn tile_of(group: u32) -> vec3<u32> {
    let tiles_across = (N + TILE_N - 1u) / TILE_N;
    let tiles_down = (M + TILE_M - 1u) / TILE_M;
    let tiles = tiles_down * tiles_across;
    let part = part_of(group, tiles);
    let tile = group - part * tiles;
    if (tile >= tiles) {
        return vec3<u32>(part, M, 0u);
    }
    let band = tile / (BAND * tiles_across);
    let within = tile % (BAND * tiles_across);
    let height = min(BAND, tiles_down - band * BAND);
    return vec3<u32>(part, TILE_M * (band * BAND + within % height), TILE_N * (within / height));
}
