// mean = sum_n m[n, c] / counted, variance = sum_n (v[n, c] + (m[n, c] - mean)^2) / counted over the images n that count
// moments [IMAGES, m CHANNELS | v CHANNELS], statistics [CHANNELS, 2]; one workgroup 8 channels.

override CHANNELS: u32;

@group(0) @binding(1) var<storage, read> moments: array<f32>;
@group(0) @binding(2) var<storage, read_write> statistics: array<f32>;

fn run(group: u32, lane: u32) {
    let c = group * WIDTH + lane % WIDTH;
    let images = select(0u, counted(), c < CHANNELS);
    var sum = 0.0;
    for (var n = lane / WIDTH; n < images; n = n + WORKGROUP / WIDTH) {
        sum = sum + moments[n * 2u * CHANNELS + c];
    }
    let mean = column_sum(lane, sum) / f32(counted());
    sum = 0.0;
    for (var n = lane / WIDTH; n < images; n = n + WORKGROUP / WIDTH) {
        let off = moments[n * 2u * CHANNELS + c] - mean;
        sum = sum + moments[n * 2u * CHANNELS + CHANNELS + c] + off * off;
    }
    let variance = column_sum(lane, sum) / f32(counted());
    if (c < CHANNELS && lane < WIDTH) {
        statistics[2u * c] = mean;
        statistics[2u * c + 1u] = variance;
    }
}
