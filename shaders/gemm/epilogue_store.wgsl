// c = sum; c [M, N]

fn epilogue(row: u32, col: u32, sums: vec4<f32>) {
    store_vec4(row, col, sums);
}
