// c = activate(sum + bias[col]); the input is the bias [1, N], c [M, N]

fn epilogue(row: u32, col: u32, sums: vec4<f32>) {
    let z = sums + load_input(col, col);
    store_vec4(row, col, vec4<f32>(activate(z.x), activate(z.y), activate(z.z), activate(z.w)));
}
