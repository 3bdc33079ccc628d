// finish(row, col, sum_k load_a(row, k) load_b(k, col)), M x N x K, for adapters that run on the CPU.
// An invocation owns a 16 x 8 tile of the result and keeps it in registers: 128 multiply-adds for 24 loads, since there
// each load is a gather and workgroup memory is no faster than any other. Rows and columns past the edge repeat the
// last one, so that loads need no branch, and are not stored.

override M: u32;
override N: u32;
override K: u32;

const TILE_M = 16u;
const TILE_N = 8u;
const WORKGROUP = 8u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tile = group_index(group) * WORKGROUP + lane;
    let tiles_across = (N + TILE_N - 1u) / TILE_N;
    let row_0 = tile / tiles_across * TILE_M;
    let col_0 = tile % tiles_across * TILE_N;
    if (row_0 >= M) {
        return;
    }
    var left: array<vec4<f32>, 16>;    // columns 0..4 of each row
    var right: array<vec4<f32>, 16>;   // columns 4..8
    for (var k = 0u; k < K; k = k + 1u) {
        let b_left = vec4<f32>(
            load_b(k, min(col_0, N - 1u)), load_b(k, min(col_0 + 1u, N - 1u)),
            load_b(k, min(col_0 + 2u, N - 1u)), load_b(k, min(col_0 + 3u, N - 1u)));
        let b_right = vec4<f32>(
            load_b(k, min(col_0 + 4u, N - 1u)), load_b(k, min(col_0 + 5u, N - 1u)),
            load_b(k, min(col_0 + 6u, N - 1u)), load_b(k, min(col_0 + 7u, N - 1u)));
        for (var r = 0u; r < TILE_M; r = r + 1u) {
            let a = load_a(min(row_0 + r, M - 1u), k);
            left[r] = left[r] + a * b_left;
            right[r] = right[r] + a * b_right;
        }
    }
    for (var r = 0u; r < TILE_M; r = r + 1u) {
        for (var c = 0u; c < TILE_N; c = c + 1u) {
            let row = row_0 + r;
            let col = col_0 + c;
            if (row < M && col < N) {
                finish(row, col, select(left[r][c % 4u], right[r][c % 4u], c >= 4u));
            }
        }
    }
}
