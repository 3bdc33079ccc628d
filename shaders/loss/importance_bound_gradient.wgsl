// d_v[g SAMPLES + i] = exp(least - v) / sum_j exp(least - v) d_y[g], least = min_j v; v, d_v [ROWS SAMPLES, 1], d_y [ROWS, 1]
// One workgroup a group of samples; links with reduce/group_least.wgsl, which has v.

override ROWS: u32;

@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_v: array<f32>;

fn run(row: u32, lane: u32) {
    if (row >= ROWS) {
        return;
    }
    let least = least_of_group(lane, row);
    let share = d_y[row] / sum_of_group(lane, row, least);
    for (var i = lane; i < SAMPLES; i = i + WORKGROUP) {
        d_v[row * SAMPLES + i] = exp(least - v[row * SAMPLES + i]) * share;
    }
}
