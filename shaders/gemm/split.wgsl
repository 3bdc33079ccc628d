// finish(row, col, sums over k of a b), M x N x K, for hardware GPUs, where there are too few large tiles to fill one.
// As gemm/tiled.wgsl with tiles of 32 x 32 and slices of 32 k, which four groups of 64 invocations share: an invocation sums its thread
// tile over its group's 8. In the end the first group adds the others' sums to its own, in their order.

const K_GROUPS = 4u;
const GROUP = 64u;
const GROUP_K = 8u;

fn run(group: u32, lane: u32) {
    let tile = tile_of(group);
    let row_0 = tile.y;
    let col_0 = tile.z;
    if (row_0 >= M) {
        return;
    }
    let ks = begin(tile.x);
    let k_group = lane / GROUP;
    let at = vec2<u32>(lane % GROUP / (TILE_N / 4u), lane % (TILE_N / 4u));
    let slots = load_slots(lane, row_0, col_0);

    var sum: Sums;
    if (ks.x < ks.y) {
        stage(slots, load_quads(slots, ks.x, ks.y));
        for (var k_0 = ks.x; k_0 < ks.y; k_0 = k_0 + TILE_K) {
            // Behind the last slice these are zeros: with a condition around them compilers wait for them sooner.
            let next = load_quads(slots, k_0 + TILE_K, ks.y);
            workgroupBarrier();
            for (var k = 0u; k < GROUP_K; k = k + 1u) {
                multiply(&sum, k_group * GROUP_K + k, at);
            }
            workgroupBarrier();
            stage(slots, next);
        }
    }
    workgroupBarrier();
    // tile_a has no other use by now: it holds the sums of one k-group after another.
    for (var other = 1u; other < K_GROUPS; other = other + 1u) {
        if (k_group == other) {
            for (var r = 0u; r < THREAD_ROWS; r = r + 1u) {
                let to = 4u * (r * GROUP + lane % GROUP);
                tile_a[to] = sum[r][0].x;
                tile_a[to + 1u] = sum[r][0].y;
                tile_a[to + 2u] = sum[r][0].z;
                tile_a[to + 3u] = sum[r][0].w;
            }
        }
        workgroupBarrier();
        if (k_group == 0u) {
            for (var r = 0u; r < THREAD_ROWS; r = r + 1u) {
                sum[r][0] = sum[r][0] + staged_a(4u * (r * GROUP + lane % GROUP));
            }
        }
        workgroupBarrier();
    }
    if (k_group == 0u) {
        finish_sums(row_0, col_0, at, &sum);
    }
}
