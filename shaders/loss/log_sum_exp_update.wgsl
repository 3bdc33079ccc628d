// m' = max(m, max_j v[r K + j]), s' = s exp(m - m') + sum_j exp(v[r K + j] - m'), j < SAMPLES = K, in that order
// v [ROWS SAMPLES, 1]; state [COUNT = ROWS, (m, s)], updated in place. One invocation a row.

override SAMPLES: u32;

@group(0) @binding(1) var<storage, read> v: array<f32>;
@group(0) @binding(2) var<storage, read_write> state: array<f32>;

// exp(x) of x <= 0; where it would be below f32's normal numbers, that is of no weight beside the exp(0) in each sum.
fn share(x: f32) -> f32 {
    return exp(max(x, -87.0));
}

fn element(row: u32) {
    let before = state[2u * row];
    var most = before;
    for (var j = 0u; j < SAMPLES; j = j + 1u) {
        most = max(most, v[row * SAMPLES + j]);
    }
    var sum = state[2u * row + 1u] * share(before - most);
    for (var j = 0u; j < SAMPLES; j = j + 1u) {
        sum = sum + share(v[row * SAMPLES + j] - most);
    }
    state[2u * row] = most;
    state[2u * row + 1u] = sum;
}
