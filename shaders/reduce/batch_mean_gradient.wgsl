// d_x[r] = d_y / rows where r < rows, else 0; d_y [1, 1], d_x [batch, 1]
// One invocation an element.

@group(0) @binding(1) var<storage, read> d_y: array<f32>;
@group(0) @binding(2) var<storage, read_write> d_x: array<f32>;

fn element(i: u32) {
    d_x[i] = select(0.0, d_y[0] / f32(step.rows), i < step.rows);
}
