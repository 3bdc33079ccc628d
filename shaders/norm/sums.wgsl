// sums[n, c] = sum_p d_y[n, p, c]; sums[n, CHANNELS + c] = sum_p d_y[n, p, c] (x[n, p, c] - mean) / sqrt(variance + EPSILON)
// x, d_y [IMAGES, PIXELS, CHANNELS], statistics [:, 2], sums [IMAGES, 2 CHANNELS]; one workgroup 8 channels of an image.

override PIXELS: u32;
override CHANNELS: u32;
override EPSILON: f32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> statistics: array<f32>;
@group(0) @binding(3) var<storage, read> d_y: array<f32>;
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;

fn run(group: u32, lane: u32) {
    let blocks = (CHANNELS + WIDTH - 1u) / WIDTH;
    let image = group / blocks;
    let c = group % blocks * WIDTH + lane % WIDTH;
    let first = image * PIXELS * CHANNELS + c;
    let is_inside = image < IMAGES && c < CHANNELS;
    // No pixel where there is no such channel.
    let pixels = select(0u, PIXELS, is_inside);
    let at = select(0u, 2u * statistic_of(image, c), is_inside);
    let mean = statistics[at];
    var sum = 0.0;
    var products = 0.0;
    for (var p = lane / WIDTH; p < pixels; p = p + WORKGROUP / WIDTH) {
        let d = d_y[first + p * CHANNELS];
        sum = sum + d;
        products = products + d * (x[first + p * CHANNELS] - mean);
    }
    sum = column_sum(lane, sum);
    products = column_sum(lane, products);
    if (is_inside && lane < WIDTH) {
        sums[image * 2u * CHANNELS + c] = sum;
        sums[image * 2u * CHANNELS + CHANNELS + c] = products / sqrt(statistics[at + 1u] + EPSILON);
    }
}
