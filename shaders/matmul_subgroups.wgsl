// finish(row, col, sums over k of a b), M x N x K, for adapters that run on the CPU and whose subgroups have 8 invocations.
// A workgroup is a subgroup and owns a 32 x 32 tile of the result, an invocation four columns of it, in registers. For 128
// multiply-adds each loads four elements of b, which are its own, and four of a, which all take from each other: there a load
// is dear and a broadcast costs nothing. Rows and columns past the edge repeat the last one, and are not stored.
//
// What is repeated is spelled out, and sums pass to their end through workgroup memory: drivers turn a loop over an array that
// is no memory into a ladder of branches, and their compilers take seconds for it.

override M: u32;
override N: u32;
override K: u32;

const TILE = 32u;
const MEMBERS = 8u;

var<workgroup> sums: array<vec4<f32>, 256>;   // [TILE, MEMBERS]

@compute @workgroup_size(MEMBERS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) member: u32) {
    let tile = tile_at(group);
    let row_0 = tile.x;
    let col_0 = tile.y;
    if (row_0 >= M) {
        return;
    }
    let my_col = col_0 + 4u * member;
    let rows = min(row_0 + member + vec4<u32>(0u, 8u, 16u, 24u), vec4<u32>(M - 1u));
    let cols = min(my_col + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(N - 1u));
    let at_rows = vec4<u32>(a_row(rows.x), a_row(rows.y), a_row(rows.z), a_row(rows.w));
    let at_cols = vec4<u32>(column(cols.x), column(cols.y), column(cols.z), column(cols.w));

    var sum: array<vec4<f32>, 32>;
    for (var k = 0u; k < K; k = k + 1u) {
        let at_a = at_rows + a_term(k);
        let at_b = at_cols + b_term(k);
        let b = vec4<f32>(column_value(at_b.x), column_value(at_b.y), column_value(at_b.z), column_value(at_b.w));
        multiply_eight(&sum, 0u, load_a(at_a.x), b);
        multiply_eight(&sum, 8u, load_a(at_a.y), b);
        multiply_eight(&sum, 16u, load_a(at_a.z), b);
        multiply_eight(&sum, 24u, load_a(at_a.w), b);
    }

    keep_eight(&sum, 0u, member);
    keep_eight(&sum, 8u, member);
    keep_eight(&sum, 16u, member);
    keep_eight(&sum, 24u, member);
    if (my_col < N) {
        for (var r = 0u; r < min(TILE, M - row_0); r = r + 1u) {
            finish(row_0 + r, my_col, sums[r * MEMBERS + member]);
        }
    }
}

// Adds one term's products to eight rows from `first` on; each invocation has the a of one of them.
fn multiply_eight(sum: ptr<function, array<vec4<f32>, 32>>, first: u32, a: f32, b: vec4<f32>) {
    (*sum)[first] = (*sum)[first] + subgroupBroadcast(a, 0u) * b;
    (*sum)[first + 1u] = (*sum)[first + 1u] + subgroupBroadcast(a, 1u) * b;
    (*sum)[first + 2u] = (*sum)[first + 2u] + subgroupBroadcast(a, 2u) * b;
    (*sum)[first + 3u] = (*sum)[first + 3u] + subgroupBroadcast(a, 3u) * b;
    (*sum)[first + 4u] = (*sum)[first + 4u] + subgroupBroadcast(a, 4u) * b;
    (*sum)[first + 5u] = (*sum)[first + 5u] + subgroupBroadcast(a, 5u) * b;
    (*sum)[first + 6u] = (*sum)[first + 6u] + subgroupBroadcast(a, 6u) * b;
    (*sum)[first + 7u] = (*sum)[first + 7u] + subgroupBroadcast(a, 7u) * b;
}

// Brings eight rows from `first` on to workgroup memory, where the invocation alone reads them.
fn keep_eight(sum: ptr<function, array<vec4<f32>, 32>>, first: u32, member: u32) {
    sums[first * MEMBERS + member] = (*sum)[first];
    sums[(first + 1u) * MEMBERS + member] = (*sum)[first + 1u];
    sums[(first + 2u) * MEMBERS + member] = (*sum)[first + 2u];
    sums[(first + 3u) * MEMBERS + member] = (*sum)[first + 3u];
    sums[(first + 4u) * MEMBERS + member] = (*sum)[first + 4u];
    sums[(first + 5u) * MEMBERS + member] = (*sum)[first + 5u];
    sums[(first + 6u) * MEMBERS + member] = (*sum)[first + 6u];
    sums[(first + 7u) * MEMBERS + member] = (*sum)[first + 7u];
}
