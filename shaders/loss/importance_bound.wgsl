// y[g] = -log(1/SAMPLES sum_i exp(-v[g SAMPLES + i])) = least - log(1/SAMPLES sum_i exp(least - v)), least = min_i v
// v [ROWS SAMPLES, 1], y [ROWS, 1]
// One workgroup a group of samples; links with reduce/group_least.wgsl, which has v.

override ROWS: u32;

@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn run(row: u32, lane: u32) {
    if (row >= ROWS) {
        return;
    }
    let least = least_of_group(lane, row);
    let total = sum_of_group(lane, row, least);
    if (lane == 0u) {
        y[row] = least - log(total / f32(SAMPLES));
    }
}
