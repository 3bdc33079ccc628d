// finish(row, col, sums over k of a b), M x N x K, for hardware GPUs.
// A workgroup of 256 owns a 64 x 64 tile of the result; an invocation owns 4 x 4 of it, in registers. Both factors pass
// through workgroup memory in slices of 16 along k (8.5 KiB), of which each invocation brings one four of each factor.
// Rows and columns past the edge are not stored.

override M: u32;
override N: u32;
override K: u32;

const TILE = 64u;
const TERMS = 16u;
const INVOCATIONS = 256u;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tile = tile_at(group);
    let row_0 = tile.x;
    let col_0 = tile.y;
    if (row_0 >= M) {
        return;
    }
    let my_row = lane / FOURS;
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
        for (var term = 0u; term < TERMS; term = term + 1u) {
            multiply(&sum, term * PITCH + my_row, term * PITCH + my_col);
        }
        workgroupBarrier();
    }
    finish_micro(row_0 + MICRO * my_row, col_0 + MICRO * my_col, sum);
}
