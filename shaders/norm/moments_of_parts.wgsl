// The moments of images from those of their parts: mean[n, c] = sum_p count[p] m[n, p, c] / PIXELS,
// variance[n, c] = sum_p count[p] (v[n, p, c] + (m[n, p, c] - mean[n, c])^2) / PIXELS
// partial [images, PARTS, m CHANNELS | v CHANNELS], moments [images, mean CHANNELS | variance CHANNELS]
// One invocation a channel of an image.

override CHANNELS: u32;

@group(0) @binding(SCRATCH) var<storage, read> partial: array<f32>;
@group(0) @binding(PAIRS) var<storage, read_write> moments: array<f32>;

fn element(i: u32) {
    let image = i / CHANNELS;
    let c = i % CHANNELS;
    var sum = 0.0;
    for (var part = 0u; part < PARTS; part = part + 1u) {
        sum = sum + f32(pixels_of(part)) * partial[(image * PARTS + part) * 2u * CHANNELS + c];
    }
    let mean = sum / f32(PIXELS);
    sum = 0.0;
    for (var part = 0u; part < PARTS; part = part + 1u) {
        let at = (image * PARTS + part) * 2u * CHANNELS + c;
        let off = partial[at] - mean;
        sum = sum + f32(pixels_of(part)) * (partial[at + CHANNELS] + off * off);
    }
    moments[image * 2u * CHANNELS + c] = mean;
    moments[image * 2u * CHANNELS + CHANNELS + c] = sum / f32(PIXELS);
}
