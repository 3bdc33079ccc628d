// A thread tile of 4 x 4 sums, and what adds to it: a vec4 of rows by a vec4 of columns.

const THREAD_ROWS = 4u;
const THREAD_COLS = 4u;

alias Sums = array<array<vec4<f32>, 1>, 4>;

// Adds the products of one k of the staged slices, for the invocation at (row, column) `at` of the threads.
fn multiply(sum: ptr<function, Sums>, k: u32, at: vec2<u32>) {
    let a_0 = staged_a(k * STRIDE_A + 4u * at.x);
    let b_0 = staged_b(k * STRIDE_B + 4u * at.y);
    (*sum)[0][0] = (*sum)[0][0] + a_0.x * b_0;
    (*sum)[1][0] = (*sum)[1][0] + a_0.y * b_0;
    (*sum)[2][0] = (*sum)[2][0] + a_0.z * b_0;
    (*sum)[3][0] = (*sum)[3][0] + a_0.w * b_0;
}
