// d_x[n, y, x, c] = sum of d_y[n, i, j, c] over the elements that read (y, x), by the weights of taps_of(i) and taps_of(j)
// d_x [batch, HEIGHT, WIDTH, CHANNELS], d_y [batch, OUT_HEIGHT, OUT_WIDTH, CHANNELS]; one invocation an element of d_x.

override HEIGHT: u32;
override WIDTH: u32;
override CHANNELS: u32;
override OUT_HEIGHT: u32;
override OUT_WIDTH: u32;

@group(0) @binding(1) var<storage, read> d_y: array<f32>;
@group(0) @binding(2) var<storage, read_write> d_x: array<f32>;

fn element(e: u32) {
    let c = e % CHANNELS;
    let x = e / CHANNELS % WIDTH;
    let y = e / (CHANNELS * WIDTH) % HEIGHT;
    let image = e / (CHANNELS * WIDTH * HEIGHT);
    let rows_end = readers_end(y, HEIGHT, OUT_HEIGHT);
    let cols_end = readers_end(x, WIDTH, OUT_WIDTH);
    var sum = 0.0;
    for (var i = first_reader(y, HEIGHT, OUT_HEIGHT); i < rows_end; i = i + 1u) {
        let down = weight_of(taps_of(i, HEIGHT, OUT_HEIGHT), y);
        for (var j = first_reader(x, WIDTH, OUT_WIDTH); j < cols_end; j = j + 1u) {
            let across = weight_of(taps_of(j, WIDTH, OUT_WIDTH), x);
            sum = sum + down * across * d_y[((image * OUT_HEIGHT + i) * OUT_WIDTH + j) * CHANNELS + c];
        }
    }
    d_x[e] = sum;
}

// The weight of element `at`; both taps may be it.
fn weight_of(taps: Taps, at: u32) -> f32 {
    return select(0.0, 1.0 - taps.weight, taps.first == at) + select(0.0, taps.weight, taps.second == at);
}
