// d[c] = sum_n sums[n, FIRST + c] over the images n that count; sums [images, 2 CHANNELS], d [CHANNELS]
// One workgroup 8 channels.

override CHANNELS: u32;
override FIRST: u32;

@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> d: array<f32>;

fn run(group: u32, lane: u32) {
    let c = group * WIDTH + lane % WIDTH;
    let images = select(0u, counted(), c < CHANNELS);
    var sum = 0.0;
    for (var n = lane / WIDTH; n < images; n = n + WORKGROUP / WIDTH) {
        sum = sum + sums[n * 2u * CHANNELS + FIRST + c];
    }
    sum = column_sum(lane, sum);
    if (c < CHANNELS && lane < WIDTH) {
        d[c] = sum;
    }
}
