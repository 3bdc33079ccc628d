// y[c] = sum_r x[r, c]; x [ROWS, COLS], y [1, COLS]
// A workgroup has 8 neighbouring columns, whose rows WORKGROUP / 8 groups of invocations share: group g sums rows
// g, g + WORKGROUP / 8, ...; the first group adds the others' sums to its own, in their order.

override ROWS: u32;
override COLS: u32;

const WIDTH = 8u;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn run(group: u32, lane: u32) {
    let col = group * WIDTH + lane % WIDTH;
    let row_groups = WORKGROUP / WIDTH;
    var sum = 0.0;
    if (col < COLS) {
        for (var r = lane / WIDTH; r < ROWS; r = r + row_groups) {
            sum = sum + x[r * COLS + col];
        }
    }
    tree[lane] = sum;
    workgroupBarrier();
    if (lane < WIDTH && col < COLS) {
        for (var g = 1u; g < row_groups; g = g + 1u) {
            sum = sum + tree[g * WIDTH + lane];
        }
        y[col] = sum;
    }
}
