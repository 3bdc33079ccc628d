// The sums of images from those of their parts: sums[n, c] = sum_p partial[n, p, c]
// partial [images, PARTS, COLS], sums [images, COLS], COLS twice the channels; one invocation an element.

override COLS: u32;

@group(0) @binding(SCRATCH) var<storage, read> partial: array<f32>;
@group(0) @binding(PAIRS) var<storage, read_write> sums: array<f32>;

fn element(i: u32) {
    var sum = 0.0;
    for (var part = 0u; part < PARTS; part = part + 1u) {
        sum = sum + partial[(i / COLS * PARTS + part) * COLS + i % COLS];
    }
    sums[i] = sum;
}
