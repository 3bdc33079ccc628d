// A subgroup's tile of the result: 2 x 2 matrices, of slices that are two matrices deep.

const MATRICES = 2u;
const TILE_K = 2u * SIDE;

alias Sums = array<array<Matrix, 2>, 2>;

// Adds the products of the staged slices, for the matrices from (row, col) of the tile on.
fn multiply(sums: ptr<function, Sums>, row: u32, col: u32) {
    for (var k = 0u; k < TILE_K; k = k + SIDE) {
        let a_0 = matrix_a(row, k);
        let a_1 = matrix_a(row + SIDE, k);
        let b_0 = matrix_b(k, col);
        let b_1 = matrix_b(k, col + SIDE);
        (*sums)[0][0] = coopMultiplyAdd(a_0, b_0, (*sums)[0][0]);
        (*sums)[0][1] = coopMultiplyAdd(a_0, b_1, (*sums)[0][1]);
        (*sums)[1][0] = coopMultiplyAdd(a_1, b_0, (*sums)[1][0]);
        (*sums)[1][1] = coopMultiplyAdd(a_1, b_1, (*sums)[1][1]);
    }
}

fn rescale(sums: ptr<function, Sums>, place: Place, by: vec2<i32>) {
    (*sums)[0][0] = rescaled((*sums)[0][0], place, by);
    (*sums)[0][1] = rescaled((*sums)[0][1], place, by);
    (*sums)[1][0] = rescaled((*sums)[1][0], place, by);
    (*sums)[1][1] = rescaled((*sums)[1][1], place, by);
}

fn finish_sums(sums: ptr<function, Sums>, place: Place, by: vec2<i32>) {
    finish_matrix((*sums)[0][0], 0u, 0u, place, by);
    finish_matrix((*sums)[0][1], 0u, 1u, place, by);
    finish_matrix((*sums)[1][0], 1u, 0u, place, by);
    finish_matrix((*sums)[1][1], 1u, 1u, place, by);
}
