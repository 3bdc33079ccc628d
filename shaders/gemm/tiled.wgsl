// finish(row, col, sums over k of a b), M x N x K, for hardware GPUs.
// A workgroup owns a tile of TILE_M x TILE_N of the result, an invocation a thread tile of it (gemm/thread_*.wgsl), in registers. Both
// operands are staged through workgroup memory (gemm/stage.wgsl). The loads of the next slice are in flight while this one
// is multiplied.

fn run(group: u32, lane: u32) {
    let tile = tile_of(group);
    let row_0 = tile.y;
    let col_0 = tile.z;
    if (row_0 >= M) {
        return;
    }
    let ks = begin(tile.x);
    let threads_across = TILE_N / THREAD_COLS;
    let at = vec2<u32>(lane / threads_across, lane % threads_across);
    let slots = load_slots(lane, row_0, col_0);

    var sum: Sums;
    if (ks.x < ks.y) {
        stage(slots, load_quads(slots, ks.x, ks.y));
        for (var k_0 = ks.x; k_0 < ks.y; k_0 = k_0 + TILE_K) {
            // Behind the last slice these are zeros: with a condition around them compilers wait for them sooner.
            let next = load_quads(slots, k_0 + TILE_K, ks.y);
            workgroupBarrier();
            for (var k = 0u; k < TILE_K; k = k + 1u) {
                multiply(&sum, k, at);
            }
            workgroupBarrier();
            stage(slots, next);
        }
    }
    finish_sums(row_0, col_0, at, &sum);
}
