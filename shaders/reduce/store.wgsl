// y[row] = the sum

@group(0) @binding(Y) var<storage, read_write> y: array<f32>;

fn store(row: u32, total: f32) {
    y[row] = total;
}
