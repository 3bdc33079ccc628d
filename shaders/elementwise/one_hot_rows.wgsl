// y[r, c] = 1 where c = r mod COLS, else 0; y [groups COLS, COLS]
// One invocation an element.

override COLS: u32;

@group(0) @binding(1) var<storage, read_write> y: array<f32>;

fn element(i: u32) {
    y[i] = select(0.0, 1.0, i / COLS % COLS == i % COLS);
}
