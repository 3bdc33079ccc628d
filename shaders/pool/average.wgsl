// y[n, oy, ox, c] = sum_{ky, kx} x[n, pixel(oy, ky), pixel(ox, kx), c] / KERNEL^2, 0 outside the image
// One invocation an element of y.

fn value(i: u32) -> f32 {
    let c = i % CHANNELS;
    let ox = i / CHANNELS % OUT_WIDTH;
    let oy = i / (CHANNELS * OUT_WIDTH) % OUT_HEIGHT;
    let image = i / (CHANNELS * OUT_WIDTH * OUT_HEIGHT);
    var sum = 0.0;
    for (var ky = 0u; ky < KERNEL; ky = ky + 1u) {
        for (var kx = 0u; kx < KERNEL; kx = kx + 1u) {
            let row = pixel(oy, ky);
            let col = pixel(ox, kx);
            if (row < HEIGHT && col < WIDTH) {
                sum = sum + load_x(element_of(image, row, col, c));
            }
        }
    }
    return sum / f32(KERNEL * KERNEL);
}
