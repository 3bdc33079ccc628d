// finish(row, col, sums over k of a b), M x N x K, for hardware GPUs, where there are too few 64 x 64 tiles to fill one.
// A workgroup of 256 owns a 32 x 32 tile of the result and splits k among four teams of 64: an invocation sums 4 x 4 of the
// tile over its team's 8 of every 32 terms. In the end the first team adds the others' sums to its own, in their order.
// Four times as many workgroups as of matmul_tiled.wgsl, each with a quarter of the steps along k.

override M: u32;
override N: u32;
override K: u32;

const TILE = 32u;
const TEAMS = 4u;
const TEAM_TERMS = 8u;
const TERMS = 32u;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tile = tile_at(group);
    let row_0 = tile.x;
    let col_0 = tile.y;
    if (row_0 >= M) {
        return;
    }
    let team = lane / 64u;
    let my_row = lane % 64u / FOURS;
    let my_col = lane % FOURS;
    let mine_a = share(lane, A_ALONG);
    let mine_b = share(lane, B_ALONG);
    let rows = rows_a(row_0 + MICRO * mine_a.y);
    let cols = cols_b(col_0 + MICRO * mine_b.y);

    var sum: array<vec4<f32>, 4>;
    for (var k_0 = 0u; k_0 < K; k_0 = k_0 + TERMS) {
        bring_a(mine_a, rows, k_0);
        bring_b(mine_b, cols, k_0);
        workgroupBarrier();
        for (var i = 0u; i < TEAM_TERMS; i = i + 1u) {
            let term = team * TEAM_TERMS + i;
            multiply(&sum, term * PITCH + my_row, term * PITCH + my_col);
        }
        workgroupBarrier();
    }
    // slice_a has no other use by now: it holds the sums of one team after another.
    for (var other = 1u; other < TEAMS; other = other + 1u) {
        if (team == other) {
            for (var r = 0u; r < MICRO; r = r + 1u) {
                slice_a[(MICRO * my_row + r) * FOURS + my_col] = sum[r];
            }
        }
        workgroupBarrier();
        if (team == 0u) {
            for (var r = 0u; r < MICRO; r = r + 1u) {
                sum[r] = sum[r] + slice_a[(MICRO * my_row + r) * FOURS + my_col];
            }
        }
        workgroupBarrier();
    }
    if (team != 0u) {
        return;
    }
    finish_micro(row_0 + MICRO * my_row, col_0 + MICRO * my_col, sum);
}
