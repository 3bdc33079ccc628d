// mean = sum_c m[n, c] / size, variance = sum_c (v[n, c] + (m[n, c] - mean)^2) / size over a group of size = CHANNELS / GROUPS
// moments [IMAGES, m CHANNELS | v CHANNELS], statistics [IMAGES GROUPS, 2]; one workgroup a group of an image.

override IMAGES: u32;
override CHANNELS: u32;
override GROUPS: u32;

@group(0) @binding(1) var<storage, read> moments: array<f32>;
@group(0) @binding(2) var<storage, read_write> statistics: array<f32>;

fn run(row: u32, lane: u32) {
    let first = row / GROUPS * 2u * CHANNELS + row % GROUPS * (CHANNELS / GROUPS);
    let size = select(0u, CHANNELS / GROUPS, row < IMAGES * GROUPS);
    var sum = 0.0;
    for (var c = lane; c < size; c = c + WORKGROUP) {
        sum = sum + moments[first + c];
    }
    let mean = tree_sum(lane, sum) / f32(CHANNELS / GROUPS);
    sum = 0.0;
    for (var c = lane; c < size; c = c + WORKGROUP) {
        let off = moments[first + c] - mean;
        sum = sum + moments[first + CHANNELS + c] + off * off;
    }
    let variance = tree_sum(lane, sum) / f32(CHANNELS / GROUPS);
    if (size > 0u && lane == 0u) {
        statistics[2u * row] = mean;
        statistics[2u * row + 1u] = variance;
    }
}
