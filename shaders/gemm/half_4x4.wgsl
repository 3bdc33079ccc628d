// A subgroup's tile of the result: 4 x 4 matrices, of slices that are one matrix deep.

const MATRICES = 4u;
const TILE_K = SIDE;

alias Sums = array<array<Matrix, 4>, 4>;

// Adds the products of the staged slices, for the matrices from (row, col) of the tile on.
fn multiply(sums: ptr<function, Sums>, row: u32, col: u32) {
    let b_0 = matrix_b(0u, col);
    let b_1 = matrix_b(0u, col + SIDE);
    let b_2 = matrix_b(0u, col + 2u * SIDE);
    let b_3 = matrix_b(0u, col + 3u * SIDE);
    let a_0 = matrix_a(row, 0u);
    (*sums)[0][0] = coopMultiplyAdd(a_0, b_0, (*sums)[0][0]);
    (*sums)[0][1] = coopMultiplyAdd(a_0, b_1, (*sums)[0][1]);
    (*sums)[0][2] = coopMultiplyAdd(a_0, b_2, (*sums)[0][2]);
    (*sums)[0][3] = coopMultiplyAdd(a_0, b_3, (*sums)[0][3]);
    let a_1 = matrix_a(row + SIDE, 0u);
    (*sums)[1][0] = coopMultiplyAdd(a_1, b_0, (*sums)[1][0]);
    (*sums)[1][1] = coopMultiplyAdd(a_1, b_1, (*sums)[1][1]);
    (*sums)[1][2] = coopMultiplyAdd(a_1, b_2, (*sums)[1][2]);
    (*sums)[1][3] = coopMultiplyAdd(a_1, b_3, (*sums)[1][3]);
    let a_2 = matrix_a(row + 2u * SIDE, 0u);
    (*sums)[2][0] = coopMultiplyAdd(a_2, b_0, (*sums)[2][0]);
    (*sums)[2][1] = coopMultiplyAdd(a_2, b_1, (*sums)[2][1]);
    (*sums)[2][2] = coopMultiplyAdd(a_2, b_2, (*sums)[2][2]);
    (*sums)[2][3] = coopMultiplyAdd(a_2, b_3, (*sums)[2][3]);
    let a_3 = matrix_a(row + 3u * SIDE, 0u);
    (*sums)[3][0] = coopMultiplyAdd(a_3, b_0, (*sums)[3][0]);
    (*sums)[3][1] = coopMultiplyAdd(a_3, b_1, (*sums)[3][1]);
    (*sums)[3][2] = coopMultiplyAdd(a_3, b_2, (*sums)[3][2]);
    (*sums)[3][3] = coopMultiplyAdd(a_3, b_3, (*sums)[3][3]);
}

fn rescale(sums: ptr<function, Sums>, place: Place, by: vec2<i32>) {
    (*sums)[0][0] = rescaled((*sums)[0][0], place, by);
    (*sums)[0][1] = rescaled((*sums)[0][1], place, by);
    (*sums)[0][2] = rescaled((*sums)[0][2], place, by);
    (*sums)[0][3] = rescaled((*sums)[0][3], place, by);
    (*sums)[1][0] = rescaled((*sums)[1][0], place, by);
    (*sums)[1][1] = rescaled((*sums)[1][1], place, by);
    (*sums)[1][2] = rescaled((*sums)[1][2], place, by);
    (*sums)[1][3] = rescaled((*sums)[1][3], place, by);
    (*sums)[2][0] = rescaled((*sums)[2][0], place, by);
    (*sums)[2][1] = rescaled((*sums)[2][1], place, by);
    (*sums)[2][2] = rescaled((*sums)[2][2], place, by);
    (*sums)[2][3] = rescaled((*sums)[2][3], place, by);
    (*sums)[3][0] = rescaled((*sums)[3][0], place, by);
    (*sums)[3][1] = rescaled((*sums)[3][1], place, by);
    (*sums)[3][2] = rescaled((*sums)[3][2], place, by);
    (*sums)[3][3] = rescaled((*sums)[3][3], place, by);
}

fn finish_sums(sums: ptr<function, Sums>, place: Place, by: vec2<i32>) {
    finish_matrix((*sums)[0][0], 0u, 0u, place, by);
    finish_matrix((*sums)[0][1], 0u, 1u, place, by);
    finish_matrix((*sums)[0][2], 0u, 2u, place, by);
    finish_matrix((*sums)[0][3], 0u, 3u, place, by);
    finish_matrix((*sums)[1][0], 1u, 0u, place, by);
    finish_matrix((*sums)[1][1], 1u, 1u, place, by);
    finish_matrix((*sums)[1][2], 1u, 2u, place, by);
    finish_matrix((*sums)[1][3], 1u, 3u, place, by);
    finish_matrix((*sums)[2][0], 2u, 0u, place, by);
    finish_matrix((*sums)[2][1], 2u, 1u, place, by);
    finish_matrix((*sums)[2][2], 2u, 2u, place, by);
    finish_matrix((*sums)[2][3], 2u, 3u, place, by);
    finish_matrix((*sums)[3][0], 3u, 0u, place, by);
    finish_matrix((*sums)[3][1], 3u, 1u, place, by);
    finish_matrix((*sums)[3][2], 3u, 2u, place, by);
    finish_matrix((*sums)[3][3], 3u, 3u, place, by);
}
