// sums[n, p, c] = sum d_y; sums[n, p, CHANNELS + c] = sum d_y (x - mean) / sqrt(variance + EPSILON) over the pixels of part p of image n
// x, d_y [IMAGES, PIXELS, CHANNELS], statistics [:, 2], sums [IMAGES, PARTS, 2 CHANNELS]; one workgroup 8 channels of a part.

override CHANNELS: u32;
override EPSILON: f32;

@group(0) @binding(2) var<storage, read> statistics: array<f32>;
@group(0) @binding(3) var<storage, read> d_y: array<f32>;
@group(0) @binding(PAIRS) var<storage, read_write> sums: array<f32>;

fn run(group: u32, lane: u32) {
    let blocks = (CHANNELS + WIDTH - 1u) / WIDTH;
    let row = group / blocks;
    let c = group % blocks * WIDTH + lane % WIDTH;
    let first = (row / PARTS * PIXELS + row % PARTS * PART_PIXELS) * CHANNELS + c;
    let is_inside = row < IMAGES * PARTS && c < CHANNELS;
    // No pixel where there is no such channel.
    let pixels = select(0u, pixels_of(row % PARTS), is_inside);
    let at = select(0u, 2u * statistic_of(row / PARTS, c), is_inside);
    let mean = statistics[at];
    var sum = 0.0;
    var products = 0.0;
    for (var p = lane / WIDTH; p < pixels; p = p + WORKGROUP / WIDTH) {
        let d = d_y[first + p * CHANNELS];
        sum = sum + d;
        products = products + d * (load_x(first + p * CHANNELS) - mean);
    }
    sum = column_sum(lane, sum);
    products = column_sum(lane, products);
    if (is_inside && lane < WIDTH) {
        sums[row * 2u * CHANNELS + c] = sum;
        sums[row * 2u * CHANNELS + CHANNELS + c] = products / sqrt(statistics[at + 1u] + EPSILON);
    }
}
