// y = activate(sum + bias); c = d(mean loss) / d(sum + bias), and each row's loss in parts of four columns.
// The input is the bias [1, N]; target_vec4(row, col) of [M, N], c [M, N], parts [M, ceil(N / 4)]

@group(0) @binding(6) var<storage, read_write> parts: array<f32>;

fn epilogue(row: u32, col: u32, sums: vec4<f32>) {
    let weight = select(0.0, 1.0 / f32(step.rows), row < step.rows);
    let z = sums + load_input(col, col);
    let x = target_vec4(row, col);
    var part = 0.0;
    var d: vec4<f32>;
    for (var i = 0u; i < 4u; i = i + 1u) {
        let y = activate(z[i]);
        part = part + select(0.0, loss(y, x[i]), col + i < N);
        d[i] = d_loss(y, x[i]) * slope(y) * weight;
    }
    store_vec4(row, col, d);
    parts[row * ((N + 3u) / 4u) + col / 4u] = part;
}
