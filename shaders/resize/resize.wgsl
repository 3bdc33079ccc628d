// y[n, i, j, c] = sum of the up to four elements of x[n, :, :, c] that taps_of(i) and taps_of(j) name, by their weights
// x [batch, HEIGHT, WIDTH, CHANNELS], y [batch, OUT_HEIGHT, OUT_WIDTH, CHANNELS]; one invocation an element of y.

override HEIGHT: u32;
override WIDTH: u32;
override CHANNELS: u32;
override OUT_HEIGHT: u32;
override OUT_WIDTH: u32;

fn value(i: u32) -> f32 {
    let c = i % CHANNELS;
    let rows = taps_of(i / (CHANNELS * OUT_WIDTH) % OUT_HEIGHT, HEIGHT, OUT_HEIGHT);
    let cols = taps_of(i / CHANNELS % OUT_WIDTH, WIDTH, OUT_WIDTH);
    let image = i / (CHANNELS * OUT_WIDTH * OUT_HEIGHT) * HEIGHT;
    let above = row_at(image + rows.first, cols, c);
    let below = row_at(image + rows.second, cols, c);
    return (1.0 - rows.weight) * above + rows.weight * below;
}

// Between two elements of a row.
fn row_at(row: u32, cols: Taps, c: u32) -> f32 {
    let left = load_x((row * WIDTH + cols.first) * CHANNELS + c);
    let right = load_x((row * WIDTH + cols.second) * CHANNELS + c);
    return (1.0 - cols.weight) * left + cols.weight * right;
}
