// finish(row, col, sums over k of a b), M x N x K, for adapters that run on the CPU.
// An invocation owns a 16 x 8 tile of the result and keeps it in registers: 128 multiply-adds for 24 loads, since there
// each load is a gather and workgroup memory is no faster than any other. Rows and columns past the edge repeat the
// last one, so that loads need no branch, and are not stored.

const TILE_M = 16u;
const TILE_N = 8u;

fn run(group: u32, lane: u32) {
    let tiles_across = (N + TILE_N - 1u) / TILE_N;
    let tiles = (M + TILE_M - 1u) / TILE_M * tiles_across;
    let part = part_of(group * WORKGROUP + lane, tiles);
    let tile = group * WORKGROUP + lane - part * tiles;
    let row_0 = tile / tiles_across * TILE_M;
    let col_0 = tile % tiles_across * TILE_N;
    if (row_0 >= M) {
        return;
    }
    let ks = begin(part);
    var rows: array<OffsetA, 16>;
    for (var r = 0u; r < TILE_M; r = r + 1u) {
        rows[r] = a_row(min(row_0 + r, M - 1u));
    }
    var cols: array<OffsetB, 8>;
    for (var c = 0u; c < TILE_N; c = c + 1u) {
        cols[c] = b_col(min(col_0 + c, N - 1u));
    }
    var left: array<vec4<f32>, 16>;    // columns 0..4 of each row
    var right: array<vec4<f32>, 16>;   // columns 4..8
    for (var k = ks.x; k < ks.y; k = k + 1u) {
        let from_k = b_k(k);
        let b_left = vec4<f32>(
            load_b(cols[0] + from_k), load_b(cols[1] + from_k),
            load_b(cols[2] + from_k), load_b(cols[3] + from_k));
        let b_right = vec4<f32>(
            load_b(cols[4] + from_k), load_b(cols[5] + from_k),
            load_b(cols[6] + from_k), load_b(cols[7] + from_k));
        for (var r = 0u; r < TILE_M; r = r + 1u) {
            let a = load_a(rows[r] + a_k(k));
            left[r] = left[r] + a * b_left;
            right[r] = right[r] + a * b_right;
        }
    }
    for (var r = 0u; r < TILE_M; r = r + 1u) {
        if (row_0 + r < M) {
            finish(row_0 + r, col_0, left[r]);
            if (col_0 + 4u < N) {
                finish(row_0 + r, col_0 + 4u, right[r]);
            }
        }
    }
}
