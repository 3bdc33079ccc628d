// Workgroup memory for a tile of each operand of a product: as much as the largest algorithm takes (9 KiB).

const TILE_MEMORY = 1152u;

var<workgroup> tile_a: array<f32, TILE_MEMORY>;
var<workgroup> tile_b: array<f32, TILE_MEMORY>;
