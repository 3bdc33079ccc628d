// A thread tile of 8 x 8 sums, and what adds to it: two vec4s of rows by two of columns, half a tile apart.

const THREAD_ROWS = 8u;
const THREAD_COLS = 8u;

alias Sums = array<array<vec4<f32>, 2>, 8>;

// Adds the products of one k of the staged slices, for the invocation at (row, column) `at` of the threads.
fn multiply(sum: ptr<function, Sums>, k: u32, at: vec2<u32>) {
    let a_0 = staged_a(k * STRIDE_A + 4u * at.x);
    let a_1 = staged_a(k * STRIDE_A + 4u * at.x + TILE_M / 2u);
    let b_0 = staged_b(k * STRIDE_B + 4u * at.y);
    let b_1 = staged_b(k * STRIDE_B + 4u * at.y + TILE_N / 2u);
    (*sum)[0][0] = (*sum)[0][0] + a_0.x * b_0;
    (*sum)[0][1] = (*sum)[0][1] + a_0.x * b_1;
    (*sum)[1][0] = (*sum)[1][0] + a_0.y * b_0;
    (*sum)[1][1] = (*sum)[1][1] + a_0.y * b_1;
    (*sum)[2][0] = (*sum)[2][0] + a_0.z * b_0;
    (*sum)[2][1] = (*sum)[2][1] + a_0.z * b_1;
    (*sum)[3][0] = (*sum)[3][0] + a_0.w * b_0;
    (*sum)[3][1] = (*sum)[3][1] + a_0.w * b_1;
    (*sum)[4][0] = (*sum)[4][0] + a_1.x * b_0;
    (*sum)[4][1] = (*sum)[4][1] + a_1.x * b_1;
    (*sum)[5][0] = (*sum)[5][0] + a_1.y * b_0;
    (*sum)[5][1] = (*sum)[5][1] + a_1.y * b_1;
    (*sum)[6][0] = (*sum)[6][0] + a_1.z * b_0;
    (*sum)[6][1] = (*sum)[6][1] + a_1.z * b_1;
    (*sum)[7][0] = (*sum)[7][0] + a_1.w * b_0;
    (*sum)[7][1] = (*sum)[7][1] + a_1.w * b_1;
}
