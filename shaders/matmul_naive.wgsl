// finish(row, col, sum_k load_a(row, k) load_b(k, col)), M x N x K, without any reuse: what the other variants are
// measured against. One invocation a sum.

override M: u32;
override N: u32;
override K: u32;

const WORKGROUP = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group) * WORKGROUP + lane;
    if (i >= M * N) {
        return;
    }
    let row = i / N;
    let col = i % N;
    var sum = 0.0;
    for (var k = 0u; k < K; k = k + 1u) {
        sum = sum + load_a(row, k) * load_b(k, col);
    }
    finish(row, col, sum);
}
