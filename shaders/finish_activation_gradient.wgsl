// c = sum slope(y); y, c [M, N]

@group(0) @binding(3) var<storage, read> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;

fn finish(row: u32, col: u32, sum: f32) {
    c[row * N + col] = sum * slope(y[row * N + col]);
}
