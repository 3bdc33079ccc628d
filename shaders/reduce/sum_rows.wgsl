// sums[p, c] = sum of x[r, c] over the rows r of part p; x [ROWS, COLS], sums [ceil(ROWS / PART_ROWS), COLS]
// A workgroup has 8 neighbouring columns of a part, whose rows WORKGROUP / 8 groups of invocations share: group g sums rows
// g, g + WORKGROUP / 8, ...; the first group adds the others' sums to its own, in their order.

override ROWS: u32;
override COLS: u32;
override PART_ROWS: u32;

const WIDTH = 8u;

@group(0) @binding(SUMMED) var<storage, read> x: array<f32>;
@group(0) @binding(SUMS) var<storage, read_write> sums: array<f32>;

fn run(group: u32, lane: u32) {
    let blocks = (COLS + WIDTH - 1u) / WIDTH;
    let part = group / blocks;
    let col = group % blocks * WIDTH + lane % WIDTH;
    let row_groups = WORKGROUP / WIDTH;
    let end = min(ROWS, (part + 1u) * PART_ROWS);
    let is_inside = part * PART_ROWS < ROWS && col < COLS;
    var sum = 0.0;
    if (is_inside) {
        for (var r = part * PART_ROWS + lane / WIDTH; r < end; r = r + row_groups) {
            sum = sum + x[r * COLS + col];
        }
    }
    tree[lane] = sum;
    workgroupBarrier();
    if (lane < WIDTH && is_inside) {
        for (var g = 1u; g < row_groups; g = g + 1u) {
            sum = sum + tree[g * WIDTH + lane];
        }
        sums[part * COLS + col] = sum;
    }
}
