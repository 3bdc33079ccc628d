// finish(row, col, sums over k of a b), M x N x K, for hardware GPUs, where there are too few 64 x 64 tiles to fill one.
// A workgroup of 256 owns a 32 x 32 tile of the result and splits k among four teams of 64: an invocation sums 4 x 4 of the
// tile over its team's slices of 8 terms, every fourth one. In the end the first team adds the others' sums to its own, in
// their order. Four times as many workgroups as of matmul_tiled.wgsl, each with a quarter of the steps along k.

override M: u32;
override N: u32;
override K: u32;

const TILE = 32u;
const TEAMS = 4u;
const DEPTH = 8u;       // terms a slice
const STRIDE = 32u;     // terms of all teams' slices

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tile = group_index(group);
    let tiles_across = (N + TILE - 1u) / TILE;
    let row_0 = tile / tiles_across * TILE;
    let col_0 = tile % tiles_across * TILE;
    if (row_0 >= M) {
        return;
    }
    let team = lane / 64u;
    let my_row = lane % 64u / 8u * MICRO;
    let my_col = lane % 8u * MICRO;
    // What this invocation brings to the slices of all teams: of a, term a_depth of rows a_first, a_first + 8, ...; of b,
    // column lane % 32 of terms b_first, b_first + 8, ... Neighbours bring neighbours.
    let a_depth = lane % STRIDE;
    let a_first = lane / STRIDE;
    let b_col_at = lane % TILE;
    let b_first = lane / TILE;
    var rows: vec4<u32>;
    for (var i = 0u; i < MICRO; i = i + 1u) {
        rows[i] = a_row(min(row_0 + a_first + 8u * i, M - 1u));
    }
    let col_at = column(min(col_0 + b_col_at, N - 1u));

    var sum: array<vec4<f32>, 4>;
    for (var k_0 = 0u; k_0 < K; k_0 = k_0 + STRIDE) {
        let term_a = a_term(min(k_0 + a_depth, K - 1u));
        for (var i = 0u; i < MICRO; i = i + 1u) {
            let row = a_first + 8u * i;
            var value = 0.0;
            if (row_0 + row < M && k_0 + a_depth < K) {
                value = load_a(rows[i] + term_a);
            }
            slice_a[a_depth * TILE + row] = value;
            let depth = b_first + 8u * i;
            value = 0.0;
            if (col_0 + b_col_at < N && k_0 + depth < K) {
                value = column_value(col_at + b_term(k_0 + depth));
            }
            slice_b[depth * TILE + b_col_at] = value;
        }
        workgroupBarrier();
        for (var i = 0u; i < DEPTH; i = i + 1u) {
            let depth = team * DEPTH + i;
            let at_a = depth * TILE + my_row;
            let at_b = depth * TILE + my_col;
            multiply(&sum, at_a, at_b);
        }
        workgroupBarrier();
    }
    // slice_a has no other use by now: it holds the sums of one team after another.
    for (var other = 1u; other < TEAMS; other = other + 1u) {
        if (team == other) {
            for (var r = 0u; r < MICRO; r = r + 1u) {
                let at = (my_row + r) * TILE + my_col;
                slice_a[at] = sum[r].x;
                slice_a[at + 1u] = sum[r].y;
                slice_a[at + 2u] = sum[r].z;
                slice_a[at + 3u] = sum[r].w;
            }
        }
        workgroupBarrier();
        if (team == 0u) {
            for (var r = 0u; r < MICRO; r = r + 1u) {
                let at = (my_row + r) * TILE + my_col;
                sum[r] = sum[r] + vec4<f32>(slice_a[at], slice_a[at + 1u], slice_a[at + 2u], slice_a[at + 3u]);
            }
        }
        workgroupBarrier();
    }
    if (team != 0u) {
        return;
    }
    finish_micro(row_0 + my_row, col_0 + my_col, sum);
}
