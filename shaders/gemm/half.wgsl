enable f16;
enable wgpu_cooperative_matrix;

// finish(row, col, sums over k of a b), M x N x K, on cooperative matrices: operands rounded to f16, sums in f32.
// Four subgroups, two by two, own a tile of 4 SIDE x 4 SIDE of the result; each sums four matrices of SIDE x SIDE. Both
// operands are staged through workgroup memory in tiles of 2 SIDE along k. Rows and columns past the edge load as zero.
// a is multiplied by A_SCALE, a power of two, before it is rounded, and its products by the inverse after: gradients of a
// mean over many examples would be too small for f16.

override WORKGROUP: u32;
override A_SCALE: f32;

const TILE = 4u * SIDE;
const TILE_M = TILE;
const TILE_N = TILE;
const DEPTH = 2u * SIDE;
const SUBGROUPS = 4u;
const PIECE = SIDE * SIDE;

var<workgroup> tile_a: array<f16, TILE * DEPTH>;       // [row, k]
var<workgroup> tile_b: array<f16, DEPTH * TILE>;       // [k, column]
var<workgroup> pieces: array<f32, SUBGROUPS * PIECE>;   // a matrix of each subgroup, on its way to finish()

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) member: u32,
) {
    let tile = tile_of(group.x + group.y * 65535u);
    let ks = begin(tile.x);
    let row_0 = tile.y;
    let col_0 = tile.z;
    // A workgroup past the last tile goes on, on zeros: matrices are for all of a subgroup, whatever the control flow.
    let my_row = subgroup / 2u * (2u * SIDE);
    let my_col = subgroup % 2u * (2u * SIDE);

    var sum_00 = Sums();
    var sum_01 = Sums();
    var sum_10 = Sums();
    var sum_11 = Sums();
    for (var k_0 = ks.x; k_0 < ks.y; k_0 = k_0 + DEPTH) {
        for (var i = lane; i < TILE * DEPTH; i = i + WORKGROUP) {
            var row = i / DEPTH;
            var k = i % DEPTH;
            var value = 0.0;
            if (row_0 + row < M && k_0 + k < ks.y) {
                value = load_a(a_row(row_0 + row) + a_k(k_0 + k)) * A_SCALE;
            }
            tile_a[i] = f16(value);
            k = i / TILE;
            let col = i % TILE;
            value = 0.0;
            if (col_0 + col < N && k_0 + k < ks.y) {
                value = load_b(b_col(col_0 + col) + b_k(k_0 + k));
            }
            tile_b[i] = f16(value);
        }
        workgroupBarrier();
        for (var depth = 0u; depth < DEPTH; depth = depth + SIDE) {
            let a_0 = coopLoadT<MatrixA>(&tile_a[my_row * DEPTH + depth], DEPTH);
            let a_1 = coopLoadT<MatrixA>(&tile_a[(my_row + SIDE) * DEPTH + depth], DEPTH);
            let b_0 = coopLoadT<MatrixB>(&tile_b[depth * TILE + my_col], TILE);
            let b_1 = coopLoadT<MatrixB>(&tile_b[depth * TILE + my_col + SIDE], TILE);
            sum_00 = coopMultiplyAdd(a_0, b_0, sum_00);
            sum_01 = coopMultiplyAdd(a_0, b_1, sum_01);
            sum_10 = coopMultiplyAdd(a_1, b_0, sum_10);
            sum_11 = coopMultiplyAdd(a_1, b_1, sum_11);
        }
        workgroupBarrier();
    }

    let piece = subgroup * PIECE;
    coopStoreT(sum_00, &pieces[piece], SIDE);
    store_piece(piece, member, row_0 + my_row, col_0 + my_col);
    coopStoreT(sum_01, &pieces[piece], SIDE);
    store_piece(piece, member, row_0 + my_row, col_0 + my_col + SIDE);
    coopStoreT(sum_10, &pieces[piece], SIDE);
    store_piece(piece, member, row_0 + my_row + SIDE, col_0 + my_col);
    coopStoreT(sum_11, &pieces[piece], SIDE);
    store_piece(piece, member, row_0 + my_row + SIDE, col_0 + my_col + SIDE);
}

// Stores a matrix that lies in pieces, four columns an invocation of its subgroup.
fn store_piece(piece: u32, member: u32, row_0: u32, col_0: u32) {
    workgroupBarrier();
    for (var quad = member; quad < PIECE / 4u; quad = quad + WORKGROUP / SUBGROUPS) {
        let at = piece + 4u * quad;
        let row = row_0 + 4u * quad / SIDE;
        let col = col_0 + 4u * quad % SIDE;
        if (row < M && col < N) {
            let sums = vec4<f32>(pieces[at], pieces[at + 1u], pieces[at + 2u], pieces[at + 3u]);
            finish(row, col, sums * (1.0 / A_SCALE));
        }
    }
    workgroupBarrier();
}
