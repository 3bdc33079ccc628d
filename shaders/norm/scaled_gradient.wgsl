// d_x = scale[c] d_y / sqrt(variance + EPSILON), 0 in images that do not count
// d_y, d_x [images, PIXELS, CHANNELS], statistics [:, 2], scale [CHANNELS]; one invocation an element.

override PIXELS: u32;
override CHANNELS: u32;
override EPSILON: f32;

@group(0) @binding(1) var<storage, read> statistics: array<f32>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read> d_y: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_x: array<f32>;

fn element(i: u32) {
    let c = i % CHANNELS;
    let image = i / (CHANNELS * PIXELS);
    let inverse = 1.0 / sqrt(statistics[2u * statistic_of(image, c) + 1u] + EPSILON);
    d_x[i] = select(0.0, d_y[i] * (inverse * scale[c]), image < counted());
}
