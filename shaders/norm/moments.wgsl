// mean[n, p, c] = sum x / count, variance[n, p, c] = sum (x - mean)^2 / count over the pixels of part p of image n, count of them
// x [IMAGES, PIXELS, CHANNELS], moments [IMAGES, PARTS, mean CHANNELS | variance CHANNELS]; one workgroup 8 channels of a part.

override IMAGES: u32;
override CHANNELS: u32;

@group(0) @binding(PAIRS) var<storage, read_write> moments: array<f32>;

fn run(group: u32, lane: u32) {
    let blocks = (CHANNELS + WIDTH - 1u) / WIDTH;
    let row = group / blocks;
    let c = group % blocks * WIDTH + lane % WIDTH;
    let count = pixels_of(row % PARTS);
    let first = (row / PARTS * PIXELS + row % PARTS * PART_PIXELS) * CHANNELS + c;
    // No pixel where there is no such channel.
    let pixels = select(0u, count, row < IMAGES * PARTS && c < CHANNELS);
    var sum = 0.0;
    for (var p = lane / WIDTH; p < pixels; p = p + WORKGROUP / WIDTH) {
        sum = sum + load_x(first + p * CHANNELS);
    }
    let mean = column_sum(lane, sum) / f32(count);
    sum = 0.0;
    for (var p = lane / WIDTH; p < pixels; p = p + WORKGROUP / WIDTH) {
        let off = load_x(first + p * CHANNELS) - mean;
        sum = sum + off * off;
    }
    let variance = column_sum(lane, sum) / f32(count);
    if (pixels > 0u && lane < WIDTH) {
        moments[row * 2u * CHANNELS + c] = mean;
        moments[row * 2u * CHANNELS + CHANNELS + c] = variance;
    }
}
