// Tiles of TILE_M x TILE_N of a result of M rows and N columns, in bands of BAND tiles downwards, column by column: workgroups that run
// at one time read few rows of a and few columns of b, which their cache then holds.

const BAND = 8u;

// A workgroup's part, and its tile's first row and column; tiles past the last one have rows past the last one. Without a second
// return: FXC takes what such a function returns for no workgroup's own, and refuses barriers that depend on it.
fn tile_of(group: u32) -> vec3<u32> {
    let tiles_across = (N + TILE_N - 1u) / TILE_N;
    let tiles_down = (M + TILE_M - 1u) / TILE_M;
    let tiles = tiles_down * tiles_across;
    let part = part_of(group, tiles);
    let own = group - part * tiles;
    let tile = min(own, tiles - 1u);
    let band = tile / (BAND * tiles_across);
    let within = tile % (BAND * tiles_across);
    let height = min(BAND, tiles_down - band * BAND);
    let row = TILE_M * (band * BAND + within % height);
    return vec3<u32>(part, select(M, row, own < tiles), TILE_N * (within / height));
}
