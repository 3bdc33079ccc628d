// c = sum slope(kept), kept being y or x, as the activation needs; the input is kept [M, N], c [M, N]

fn epilogue(row: u32, col: u32, sums: vec4<f32>) {
    let kept = load_input(row * N + col, col);
    store_vec4(row, col, sums * vec4<f32>(slope(kept.x), slope(kept.y), slope(kept.z), slope(kept.w)));
}
