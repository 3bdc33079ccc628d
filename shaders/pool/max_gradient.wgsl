// d_x[n, y, x, c] = sum d_y[n, oy, ox, c] over the windows whose maximum the element is: the first one, row by row
// One invocation an element of d_x.

@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_x: array<f32>;

fn element(i: u32) {
    let c = i % CHANNELS;
    let col = i / CHANNELS % WIDTH;
    let row = i / (CHANNELS * WIDTH) % HEIGHT;
    let image = i / (CHANNELS * WIDTH * HEIGHT);
    let rows_end = min((row + PADDING) / STRIDE + 1u, OUT_HEIGHT);
    let cols_end = min((col + PADDING) / STRIDE + 1u, OUT_WIDTH);
    var sum = 0.0;
    for (var oy = first_position(row); oy < rows_end; oy = oy + 1u) {
        for (var ox = first_position(col); ox < cols_end; ox = ox + 1u) {
            // A window with gaps may reach over the element and not read it.
            if ((row - pixel(oy, 0u)) % DILATION == 0u && (col - pixel(ox, 0u)) % DILATION == 0u
                && is_first_maximum(image, oy, ox, row, col, c)) {
                sum = sum + d_y[position_of(image, oy, ox, c)];
            }
        }
    }
    d_x[i] = sum;
}

// Whether the window at (oy, ox) has no element as large before (row, col) and no larger one behind it.
fn is_first_maximum(image: u32, oy: u32, ox: u32, row: u32, col: u32, c: u32) -> bool {
    let own = load_x(element_of(image, row, col, c));
    var first = true;
    for (var ky = 0u; ky < KERNEL; ky = ky + 1u) {
        for (var kx = 0u; kx < KERNEL; kx = kx + 1u) {
            let other_row = pixel(oy, ky);
            let other_col = pixel(ox, kx);
            if (other_row < HEIGHT && other_col < WIDTH) {
                let other = load_x(element_of(image, other_row, other_col, c));
                let is_before = other_row < row || (other_row == row && other_col < col);
                first = first && !(other > own || (is_before && other == own));
            }
        }
    }
    return first;
}
