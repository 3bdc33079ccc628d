// finish(row, col, sums over k of a b), M x N x K, for hardware GPUs, where there are too few 64 x 64 tiles to fill one.
// A workgroup of 256 owns a 32 x 32 tile of the result and splits k among four groups of 64 invocations: an invocation sums 4 x 4 of
// the tile over its group's 8 of every 32 k. In the end the first group adds the others' sums to its own, in their order.
// Four times as many workgroups as of gemm/tiled.wgsl, each with a quarter of the steps along k.

const TILE = 32u;
const K_GROUPS = 4u;
const GROUP_K = 8u;
const TILE_K = 32u;

fn run(group: u32, lane: u32) {
    let tile = tile_of(group);
    let row_0 = tile.y;
    let col_0 = tile.z;
    if (row_0 >= M) {
        return;
    }
    let ks = begin(tile.x);
    let k_group = lane / 64u;
    let thread_row = lane % 64u / TILE_VEC4S;
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
        for (var i = 0u; i < GROUP_K; i = i + 1u) {
            let k = k_group * GROUP_K + i;
            multiply(&sum, k * STRIDE + thread_row, k * STRIDE + thread_col);
        }
        workgroupBarrier();
    }
    // tile_a has no other use by now: it holds the sums of one k-group after another.
    for (var other = 1u; other < K_GROUPS; other = other + 1u) {
        if (k_group == other) {
            for (var r = 0u; r < THREAD_TILE; r = r + 1u) {
                tile_a[(THREAD_TILE * thread_row + r) * TILE_VEC4S + thread_col] = sum[r];
            }
        }
        workgroupBarrier();
        if (k_group == 0u) {
            for (var r = 0u; r < THREAD_TILE; r = r + 1u) {
                sum[r] = sum[r] + tile_a[(THREAD_TILE * thread_row + r) * TILE_VEC4S + thread_col];
            }
        }
        workgroupBarrier();
    }
    if (k_group != 0u) {
        return;
    }
    store_thread_tile(row_0 + THREAD_TILE * thread_row, col_0 + THREAD_TILE * thread_col, sum);
}
