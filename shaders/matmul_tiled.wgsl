// finish(row, col, sums over k of a b), M x N x K, for hardware GPUs.
// A workgroup of 256 owns a 64 x 64 tile of the result; an invocation owns 4 x 4 of it, in registers. Both factors pass
// through workgroup memory in slices of 16 along k (8 KiB): each invocation brings four elements of one column of a slice
// of a, four of one row of a slice of b. Rows and columns past the edge load as zero.

override M: u32;
override N: u32;
override K: u32;

const TILE = 64u;
const DEPTH = 16u;
const INVOCATIONS = 256u;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tile = group_index(group);
    let tiles_across = (N + TILE - 1u) / TILE;
    let row_0 = tile / tiles_across * TILE;
    let col_0 = tile % tiles_across * TILE;
    if (row_0 >= M) {
        return;
    }
    let my_row = lane / 16u * MICRO;
    let my_col = lane % 16u * MICRO;
    // What this invocation brings: of a, term a_depth of rows a_first, a_first + 16, ...; of b, columns lane % 16,
    // lane % 16 + 16, ... of term b_depth. Neighbours bring neighbours.
    let a_depth = lane % DEPTH;
    let a_first = lane / DEPTH;
    let b_depth = lane / 16u;
    let b_first = lane % 16u;
    var rows: vec4<u32>;
    var cols: vec4<u32>;
    for (var i = 0u; i < MICRO; i = i + 1u) {
        rows[i] = a_row(min(row_0 + a_first + 16u * i, M - 1u));
        cols[i] = column(min(col_0 + b_first + 16u * i, N - 1u));
    }

    var sum: array<vec4<f32>, 4>;
    for (var k_0 = 0u; k_0 < K; k_0 = k_0 + DEPTH) {
        let term_a = a_term(min(k_0 + a_depth, K - 1u));
        let term_b = b_term(min(k_0 + b_depth, K - 1u));
        for (var i = 0u; i < MICRO; i = i + 1u) {
            let row = a_first + 16u * i;
            var value = 0.0;
            if (row_0 + row < M && k_0 + a_depth < K) {
                value = load_a(rows[i] + term_a);
            }
            slice_a[a_depth * TILE + row] = value;
            let col = b_first + 16u * i;
            value = 0.0;
            if (col_0 + col < N && k_0 + b_depth < K) {
                value = column_value(cols[i] + term_b);
            }
            slice_b[b_depth * TILE + col] = value;
        }
        workgroupBarrier();
        for (var depth = 0u; depth < DEPTH; depth = depth + 1u) {
            let at_a = depth * TILE + my_row;
            let at_b = depth * TILE + my_col;
            multiply(&sum, at_a, at_b);
        }
        workgroupBarrier();
    }
    finish_micro(row_0 + my_row, col_0 + my_col, sum);
}
