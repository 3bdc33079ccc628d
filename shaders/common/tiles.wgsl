// Workgroup memory for a tile of each operand of a product, as vec4s: as many as the largest algorithm takes (9 KiB).

const TILE_MEMORY = 288u;

var<workgroup> tile_a: array<vec4<f32>, TILE_MEMORY>;
var<workgroup> tile_b: array<vec4<f32>, TILE_MEMORY>;
