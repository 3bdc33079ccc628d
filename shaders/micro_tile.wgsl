// What loops through workgroup memory share: slices of both factors there, and the 4 x 4 sums of an invocation.
// A slice holds a tile's rows of a (columns of b) by fours, each of one term: [TERMS, PITCH]. The pitch is one more than a
// tile's fours, so that neighbouring terms of one four lie in different banks of that memory.

const MICRO = 4u;
const FOURS = TILE / MICRO;
const PITCH = FOURS + 1u;

var<workgroup> slice_a: array<vec4<f32>, TERMS * PITCH>;
var<workgroup> slice_b: array<vec4<f32>, TERMS * PITCH>;

// What an invocation brings of a slice: its term, and its four of the tile. Neighbours bring what lies side by side: terms
// where these do ("along"), else fours of one term.
fn share(lane: u32, along: bool) -> vec2<u32> {
    if (along) {
        return vec2<u32>(lane % TERMS, lane / TERMS);
    }
    return vec2<u32>(lane / FOURS, lane % FOURS);
}

// Brings an invocation's share of a's slice of the terms from k_0 on; those past the end are zero.
fn bring_a(share: vec2<u32>, rows: vec4<u32>, k_0: u32) {
    var four = vec4<f32>();
    if (k_0 + share.x < K) {
        four = four_a(rows, k_0 + share.x);
    }
    slice_a[share.x * PITCH + share.y] = four;
}

// The same of b's.
fn bring_b(share: vec2<u32>, cols: vec4<u32>, k_0: u32) {
    var four = vec4<f32>();
    if (k_0 + share.x < K) {
        four = four_b(cols, k_0 + share.x);
    }
    slice_b[share.x * PITCH + share.y] = four;
}

// Adds one term's products: of the four at at_a of slice_a with the four at at_b of slice_b.
fn multiply(sum: ptr<function, array<vec4<f32>, 4>>, at_a: u32, at_b: u32) {
    let a = slice_a[at_a];
    let b = slice_b[at_b];
    (*sum)[0] = (*sum)[0] + a.x * b;
    (*sum)[1] = (*sum)[1] + a.y * b;
    (*sum)[2] = (*sum)[2] + a.z * b;
    (*sum)[3] = (*sum)[3] + a.w * b;
}

// Finishes the sums of four rows from `row` on, and four columns from `col` on; those past the edge are left out.
fn finish_micro(row: u32, col: u32, sum: array<vec4<f32>, 4>) {
    var rows = sum;
    for (var r = 0u; r < MICRO; r = r + 1u) {
        if (row + r < M && col < N) {
            finish(row + r, col, rows[r]);
        }
    }
}
