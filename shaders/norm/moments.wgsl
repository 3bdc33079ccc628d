// mean[n, c] = sum_p x[n, p, c] / PIXELS; variance[n, c] = sum_p (x[n, p, c] - mean[n, c])^2 / PIXELS
// x [IMAGES, PIXELS, CHANNELS], moments [IMAGES, mean CHANNELS | variance CHANNELS]; one workgroup 8 channels of an image.

override IMAGES: u32;
override PIXELS: u32;
override CHANNELS: u32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> moments: array<f32>;

fn run(group: u32, lane: u32) {
    let blocks = (CHANNELS + WIDTH - 1u) / WIDTH;
    let image = group / blocks;
    let c = group % blocks * WIDTH + lane % WIDTH;
    let first = image * PIXELS * CHANNELS + c;
    // No pixel where there is no such channel.
    let pixels = select(0u, PIXELS, image < IMAGES && c < CHANNELS);
    var sum = 0.0;
    for (var p = lane / WIDTH; p < pixels; p = p + WORKGROUP / WIDTH) {
        sum = sum + x[first + p * CHANNELS];
    }
    let mean = column_sum(lane, sum) / f32(PIXELS);
    sum = 0.0;
    for (var p = lane / WIDTH; p < pixels; p = p + WORKGROUP / WIDTH) {
        let off = x[first + p * CHANNELS] - mean;
        sum = sum + off * off;
    }
    let variance = column_sum(lane, sum) / f32(PIXELS);
    if (pixels > 0u && lane < WIDTH) {
        moments[image * 2u * CHANNELS + c] = mean;
        moments[image * 2u * CHANNELS + CHANNELS + c] = variance;
    }
}
