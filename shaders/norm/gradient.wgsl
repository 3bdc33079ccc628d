// d_x = (scale[c] d_y - terms[s, 0] - x_hat terms[s, 1]) / sqrt(variance + EPSILON), 0 in images that do not count
// x, d_y, d_x [images, PIXELS, CHANNELS], statistics, terms [:, 2], scale [CHANNELS], s = statistic_of(n, c)
// One invocation an element.

override PIXELS: u32;
override CHANNELS: u32;
override EPSILON: f32;

@group(0) @binding(2) var<storage, read> statistics: array<f32>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read> d_y: array<f32>;
@group(0) @binding(5) var<storage, read> terms: array<f32>;
@group(0) @binding(6) var<storage, read_write> d_x: array<f32>;

fn element(i: u32) {
    let c = i % CHANNELS;
    let image = i / (CHANNELS * PIXELS);
    let at = 2u * statistic_of(image, c);
    let inverse = 1.0 / sqrt(statistics[at + 1u] + EPSILON);
    let normalised = (load_x(i) - statistics[at]) * inverse;
    let d = (scale[c] * d_y[i] - terms[at] - normalised * terms[at + 1u]) * inverse;
    d_x[i] = select(0.0, d, image < counted());
}
