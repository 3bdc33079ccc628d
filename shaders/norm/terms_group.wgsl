// terms[row] = sum_c scale[c] sums[n, c] / m, sum_c scale[c] sums[n, CHANNELS + c] / m over a group of channels of an image,
// m = PIXELS CHANNELS / GROUPS; sums [IMAGES, 2 CHANNELS], scale [CHANNELS], terms [IMAGES GROUPS, 2]. One workgroup a row.

override IMAGES: u32;
override PIXELS: u32;
override CHANNELS: u32;
override GROUPS: u32;

@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> terms: array<f32>;

fn run(row: u32, lane: u32) {
    let size = CHANNELS / GROUPS;
    let first_channel = row % GROUPS * size;
    let first = row / GROUPS * 2u * CHANNELS + first_channel;
    var sum = 0.0;
    var products = 0.0;
    for (var c = lane; c < size && row < IMAGES * GROUPS; c = c + WORKGROUP) {
        sum = sum + scale[first_channel + c] * sums[first + c];
        products = products + scale[first_channel + c] * sums[first + CHANNELS + c];
    }
    sum = tree_sum(lane, sum);
    products = tree_sum(lane, products);
    if (row < IMAGES * GROUPS && lane == 0u) {
        terms[2u * row] = sum / f32(PIXELS * size);
        terms[2u * row + 1u] = products / f32(PIXELS * size);
    }
}
