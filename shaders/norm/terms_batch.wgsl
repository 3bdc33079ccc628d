// terms[c] = scale[c] sum_n sums[n, c] / m, scale[c] sum_n sums[n, CHANNELS + c] / m over the images n that count, m their pixels
// sums [images, 2 CHANNELS], scale [CHANNELS], terms [CHANNELS, 2]; one workgroup 8 channels.

override PIXELS: u32;
override CHANNELS: u32;

@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> terms: array<f32>;

fn run(group: u32, lane: u32) {
    let c = group * WIDTH + lane % WIDTH;
    let images = select(0u, counted(), c < CHANNELS);
    var sum = 0.0;
    var products = 0.0;
    for (var n = lane / WIDTH; n < images; n = n + WORKGROUP / WIDTH) {
        sum = sum + sums[n * 2u * CHANNELS + c];
        products = products + sums[n * 2u * CHANNELS + CHANNELS + c];
    }
    sum = column_sum(lane, sum);
    products = column_sum(lane, products);
    if (c < CHANNELS && lane < WIDTH) {
        let share = scale[c] / f32(counted() * PIXELS);
        terms[2u * c] = share * sum;
        terms[2u * c + 1u] = share * products;
    }
}
