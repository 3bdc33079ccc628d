// y = (x - mean) / sqrt(variance + EPSILON) scale[c] + shift[c], 0 in images that do not count
// x, y [images, PIXELS, CHANNELS], statistics [:, 2], scale, shift [CHANNELS]; one invocation an element.

override PIXELS: u32;
override CHANNELS: u32;
override EPSILON: f32;

@group(0) @binding(2) var<storage, read> statistics: array<f32>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read> shift: array<f32>;

fn value(i: u32) -> f32 {
    let c = i % CHANNELS;
    let image = i / (CHANNELS * PIXELS);
    let at = 2u * statistic_of(image, c);
    let inverse = 1.0 / sqrt(statistics[at + 1u] + EPSILON);
    return select(0.0, (load_x(i) - statistics[at]) * (inverse * scale[c]) + shift[c], image < counted());
}
