// Staged tiles of both operands (common/tiles.wgsl), and the 4 x 4 thread tile of sums.
// A tile holds rows of a (columns of b) as vec4s, each of one k: [TILE_K, STRIDE]. The padded stride is one more than a
// tile's vec4s, so that neighbouring k of one vec4 lie in different banks of that memory.

const THREAD_TILE = 4u;
const TILE_VEC4S = TILE / THREAD_TILE;
const STRIDE = TILE_VEC4S + 1u;

// What an invocation loads of a tile: its k, and its vec4 of the rows. Neighbours load what lies side by side: successive k
// where the operand is k-contiguous, else vec4s of one k.
fn load_slot(lane: u32, k_contiguous: bool) -> vec2<u32> {
    if (k_contiguous) {
        return vec2<u32>(lane % TILE_K, lane / TILE_K);
    }
    return vec2<u32>(lane / TILE_VEC4S, lane % TILE_VEC4S);
}

// Loads an invocation's slot of a's tile from k_0 on; from k_end on it is zero: loaded
// from the last k and deselected, so that the loads of both operands need no branch and one wait.
fn load_tile_a(slot: vec2<u32>, rows: RowsA, k_0: u32, k_end: u32) {
    let k = k_0 + slot.x;
    tile_a[slot.x * STRIDE + slot.y] = select(vec4<f32>(), vec4_a(rows, min(k, k_end - 1u)), k < k_end);
}

// The same of b's.
fn load_tile_b(slot: vec2<u32>, cols: ColsB, k_0: u32, k_end: u32) {
    let k = k_0 + slot.x;
    tile_b[slot.x * STRIDE + slot.y] = select(vec4<f32>(), vec4_b(cols, min(k, k_end - 1u)), k < k_end);
}

// Adds the products of one k: of the vec4 at at_a of tile_a with the vec4 at at_b of tile_b.
fn multiply(sum: ptr<function, array<vec4<f32>, 4>>, at_a: u32, at_b: u32) {
    let a = tile_a[at_a];
    let b = tile_b[at_b];
    (*sum)[0] = (*sum)[0] + a.x * b;
    (*sum)[1] = (*sum)[1] + a.y * b;
    (*sum)[2] = (*sum)[2] + a.z * b;
    (*sum)[3] = (*sum)[3] + a.w * b;
}

// Passes the sums of four rows from `row` on and four columns from `col` on to finish(); those past the edge are left out.
fn store_thread_tile(row: u32, col: u32, sum: array<vec4<f32>, 4>) {
    var rows = sum;
    for (var r = 0u; r < THREAD_TILE; r = r + 1u) {
        if (row + r < M && col < N) {
            finish(row + r, col, rows[r]);
        }
    }
}
