// y = activate(sum + bias); d_y = d(mean loss) / d(sum + bias), and each row's loss in parts of four columns.
// bias [1, N], target(row, col) of [M, N], d_y [M, N], parts [M, ceil(N / 4)]

@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> d_y: array<f32>;
@group(0) @binding(6) var<storage, read_write> parts: array<f32>;

fn epilogue(row: u32, col: u32, sums: vec4<f32>) {
    let weight = select(0.0, 1.0 / f32(step.rows), row < step.rows);
    let start = target_row(row);
    var part = 0.0;
    for (var i = 0u; i < min(4u, N - col); i = i + 1u) {
        let y = activate(sums[i] + bias[col + i]);
        let x = load_target(start + col + i);
        part = part + loss(y, x);
        d_y[row * N + col + i] = d_loss(y, x) * slope(y) * weight;
    }
    parts[row * ((N + 3u) / 4u) + col / 4u] = part;
}
