// result[row] = the sum / rows, the rows of the batch that count

@group(0) @binding(RESULT) var<storage, read_write> result: array<f32>;

fn store(row: u32, total: f32) {
    result[row] = total / f32(step.rows);
}
