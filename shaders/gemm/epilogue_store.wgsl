// c = sum

fn epilogue(row: u32, col: u32, sums: vec4<f32>) {
    store_vec4(row, col, sums);
}
