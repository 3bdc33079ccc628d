// y[r, pixel] = x[r, where it came from], 0 from outside; x, y [batch, HEIGHT WIDTH CHANNELS]
// Example first + r draws its move down (element 0), right (1), and whether it is mirrored (2). One invocation an element.

override STREAM: u32;
override HEIGHT: u32;
override WIDTH: u32;
override CHANNELS: u32;
override SHIFT: u32;
override FLIP: u32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn element(i: u32) {
    let cols = HEIGHT * WIDTH * CHANNELS;
    let row = i / cols;
    let pixel = i % cols / CHANNELS;
    let example = step.first + row;
    let span = 2u * SHIFT + 1u;
    // Unsigned, so that what lies before the edge is far past the other.
    let from_y = pixel / WIDTH + SHIFT - draw_bits(step.seed, STREAM, step.index, example, 0u) % span;
    let from_x = pixel % WIDTH + SHIFT - draw_bits(step.seed, STREAM, step.index, example, 1u) % span;
    if (from_y >= HEIGHT || from_x >= WIDTH) {
        y[i] = 0.0;
        return;
    }
    let mirrored = FLIP == 1u && draw_bits(step.seed, STREAM, step.index, example, 2u) >> 31u == 1u;
    let origin = from_y * WIDTH + select(from_x, WIDTH - 1u - from_x, mirrored);
    y[i] = x[row * cols + origin * CHANNELS + i % CHANNELS];
}
