// What loops through workgroup memory share: slices of both factors there, and the 4 x 4 sums of an invocation.

const MICRO = 4u;

var<workgroup> slice_a: array<f32, 1024>;   // [terms, TILE]
var<workgroup> slice_b: array<f32, 1024>;   // [terms, TILE]

// Adds one term's products: of the four rows that slice_a holds from at_a on, with the four columns of slice_b from at_b on.
fn multiply(sum: ptr<function, array<vec4<f32>, 4>>, at_a: u32, at_b: u32) {
    let b = vec4<f32>(slice_b[at_b], slice_b[at_b + 1u], slice_b[at_b + 2u], slice_b[at_b + 3u]);
    (*sum)[0] = (*sum)[0] + slice_a[at_a] * b;
    (*sum)[1] = (*sum)[1] + slice_a[at_a + 1u] * b;
    (*sum)[2] = (*sum)[2] + slice_a[at_a + 2u] * b;
    (*sum)[3] = (*sum)[3] + slice_a[at_a + 3u] * b;
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
