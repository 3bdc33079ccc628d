// finish(row, col, sums over k of a b), M x N x K, for hardware GPUs.
// A workgroup of 256 owns a 64 x 64 tile of the result; an invocation owns 4 x 4 of it, in registers. Both operands
// are staged through workgroup memory in tiles of 16 along k (8.5 KiB), of which each invocation loads one vec4 of each.
// Rows and columns past the edge are not stored.

const TILE = 64u;
const TILE_K = 16u;

fn run(group: u32, lane: u32) {
    let tile = tile_of(group);
    let row_0 = tile.y;
    let col_0 = tile.z;
    if (row_0 >= M) {
        return;
    }
    let ks = begin(tile.x);
    let thread_row = lane / TILE_VEC4S;
    let thread_col = lane % TILE_VEC4S;
    let slot_a = load_slot(lane, A_K_CONTIGUOUS);
    let slot_b = load_slot(lane, B_K_CONTIGUOUS);
    let rows = rows_a(row_0 + THREAD_TILE * slot_a.y);
    let cols = cols_b(col_0 + THREAD_TILE * slot_b.y);

    var sum: array<vec4<f32>, 4>;
    for (var k_0 = ks.x; k_0 < ks.y; k_0 = k_0 + TILE_K) {
        load_tile_a(slot_a, rows, k_0, ks.y);
        load_tile_b(slot_b, cols, k_0, ks.y);
        workgroupBarrier();
        for (var k = 0u; k < TILE_K; k = k + 1u) {
            multiply(&sum, k * STRIDE + thread_row, k * STRIDE + thread_col);
        }
        workgroupBarrier();
    }
    store_thread_tile(row_0 + THREAD_TILE * thread_row, col_0 + THREAD_TILE * thread_col, sum);
}
