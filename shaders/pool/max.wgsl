// y[n, oy, ox, c] = max_{ky, kx} x[n, pixel(oy, ky), pixel(ox, kx), c], of what lies in the image
// One invocation an element of y.

fn value(i: u32) -> f32 {
    let c = i % CHANNELS;
    let ox = i / CHANNELS % OUT_WIDTH;
    let oy = i / (CHANNELS * OUT_WIDTH) % OUT_HEIGHT;
    let image = i / (CHANNELS * OUT_WIDTH * OUT_HEIGHT);
    var most = -3.4028234e38;
    for (var ky = 0u; ky < KERNEL; ky = ky + 1u) {
        for (var kx = 0u; kx < KERNEL; kx = kx + 1u) {
            let row = pixel(oy, ky);
            let col = pixel(ox, kx);
            if (row < HEIGHT && col < WIDTH) {
                let other = load_x(element_of(image, row, col, c));
                // What is not a number is kept.
                most = select(most, other, other > most || other != other);
            }
        }
    }
    return most;
}
