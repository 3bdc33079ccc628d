// finish(row, col, sums over k of a b), M x N x K, for adapters that run on the CPU and whose subgroups have 8 invocations.
// A workgroup is a subgroup and owns a 32 x 32 tile of the result, an invocation four columns of it, in registers. For 128
// multiply-adds each loads four elements of b, which are its own, and four of a, which all take from each other: there a load
// is dear and a broadcast costs nothing. Rows and columns past the edge are not stored.
//
// What is repeated is spelled out, and sums pass to the epilogue through workgroup memory: drivers turn a loop over an array that
// is no memory into a ladder of branches, and their compilers take seconds for it.

const TILE = 32u;
const TILE_M = TILE;
const TILE_N = TILE;
const MEMBERS = 8u;

var<workgroup> sums: array<vec4<f32>, 256>;   // [TILE, MEMBERS]

fn run(group: u32, member: u32) {
    let tile = tile_of(group);
    let row_0 = tile.y;
    let col_0 = tile.z;
    if (row_0 >= M) {
        return;
    }
    let ks = begin(tile.x);
    let my_col = col_0 + 4u * member;
    let rows = rows_a(row_0 + 4u * member);
    let cols = cols_b(my_col);

    var sum: array<vec4<f32>, 32>;
    for (var k = ks.x; k < ks.y; k = k + 1u) {
        let a = vec4_a(rows, k);
        let b = vec4_b(cols, k);
        multiply_four(&sum, 0u, subgroupBroadcast(a, 0u), b);
        multiply_four(&sum, 4u, subgroupBroadcast(a, 1u), b);
        multiply_four(&sum, 8u, subgroupBroadcast(a, 2u), b);
        multiply_four(&sum, 12u, subgroupBroadcast(a, 3u), b);
        multiply_four(&sum, 16u, subgroupBroadcast(a, 4u), b);
        multiply_four(&sum, 20u, subgroupBroadcast(a, 5u), b);
        multiply_four(&sum, 24u, subgroupBroadcast(a, 6u), b);
        multiply_four(&sum, 28u, subgroupBroadcast(a, 7u), b);
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

// Adds the products of one k to four rows from `first` on.
fn multiply_four(sum: ptr<function, array<vec4<f32>, 32>>, first: u32, a: vec4<f32>, b: vec4<f32>) {
    (*sum)[first] = (*sum)[first] + a.x * b;
    (*sum)[first + 1u] = (*sum)[first + 1u] + a.y * b;
    (*sum)[first + 2u] = (*sum)[first + 2u] + a.z * b;
    (*sum)[first + 3u] = (*sum)[first + 3u] + a.w * b;
}

// Stores eight rows from `first` on to workgroup memory, where the invocation alone reads them.
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
