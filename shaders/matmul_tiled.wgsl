// finish(row, col, sum_k load_a(row, k) load_b(k, col)), M x N x K, for hardware GPUs.
// A workgroup of 256 owns a 64 x 64 tile of the result; an invocation owns 4 x 4 of it, in registers. Both factors pass
// through workgroup memory in slices of 16 along k (8 KiB). Rows and columns past the edge load as zero.

override M: u32;
override N: u32;
override K: u32;

const TILE = 64u;
const DEPTH = 16u;
const MICRO = 4u;
const INVOCATIONS = 256u;

var<workgroup> slice_a: array<f32, 1024>;   // [DEPTH, TILE]
var<workgroup> slice_b: array<f32, 1024>;   // [DEPTH, TILE]

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tile = group_index(group);
    let tiles_across = (N + TILE - 1u) / TILE;
    let row_0 = tile / tiles_across * TILE;
    let col_0 = tile % tiles_across * TILE;
    if (row_0 >= M) {
        return;
    }
    let my_row = lane / 16u * MICRO;
    let my_col = lane % 16u * MICRO;

    var sum: array<vec4<f32>, 4>;
    for (var k_0 = 0u; k_0 < K; k_0 = k_0 + DEPTH) {
        for (var i = lane; i < TILE * DEPTH; i = i + INVOCATIONS) {
            let depth = i % DEPTH;
            let row = row_0 + i / DEPTH;
            var value = 0.0;
            if (row < M && k_0 + depth < K) {
                value = load_a(row, k_0 + depth);
            }
            slice_a[depth * TILE + i / DEPTH] = value;
        }
        for (var i = lane; i < TILE * DEPTH; i = i + INVOCATIONS) {
            let depth = i / TILE;
            let col = col_0 + i % TILE;
            var value = 0.0;
            if (col < N && k_0 + depth < K) {
                value = load_b(k_0 + depth, col);
            }
            slice_b[i] = value;
        }
        workgroupBarrier();
        for (var depth = 0u; depth < DEPTH; depth = depth + 1u) {
            let at_a = depth * TILE + my_row;
            let at_b = depth * TILE + my_col;
            let b = vec4<f32>(slice_b[at_b], slice_b[at_b + 1u], slice_b[at_b + 2u], slice_b[at_b + 3u]);
            sum[0] = sum[0] + slice_a[at_a] * b;
            sum[1] = sum[1] + slice_a[at_a + 1u] * b;
            sum[2] = sum[2] + slice_a[at_a + 2u] * b;
            sum[3] = sum[3] + slice_a[at_a + 3u] * b;
        }
        workgroupBarrier();
    }
    for (var r = 0u; r < MICRO; r = r + 1u) {
        for (var c = 0u; c < MICRO; c = c + 1u) {
            let row = row_0 + my_row + r;
            let col = col_0 + my_col + c;
            if (row < M && col < N) {
                finish(row, col, sum[r][c]);
            }
        }
    }
}
