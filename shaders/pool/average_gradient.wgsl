// d_x[n, y, x, c] = sum d_y[n, oy, ox, c] / KERNEL^2 over the windows that cover the element
// One invocation an element of d_x.

@group(0) @binding(1) var<storage, read> d_y: array<f32>;
@group(0) @binding(2) var<storage, read_write> d_x: array<f32>;

fn element(i: u32) {
    let c = i % CHANNELS;
    let x = i / CHANNELS % WIDTH;
    let y = i / (CHANNELS * WIDTH) % HEIGHT;
    let image = i / (CHANNELS * WIDTH * HEIGHT);
    let rows_end = min((y + PADDING) / STRIDE + 1u, OUT_HEIGHT);
    let cols_end = min((x + PADDING) / STRIDE + 1u, OUT_WIDTH);
    var sum = 0.0;
    for (var oy = first_position(y); oy < rows_end; oy = oy + 1u) {
        for (var ox = first_position(x); ox < cols_end; ox = ox + 1u) {
            sum = sum + d_y[position_of(image, oy, ox, c)];
        }
    }
    d_x[i] = sum / f32(KERNEL * KERNEL);
}
