enable f16;
enable wgpu_cooperative_matrix;

// finish(row, col, sums over k of a b), M x N x K, on cooperative matrices: operands rounded to f16, sums in f32.
// A workgroup owns a tile of TILE x TILE of the result, four of its subgroups a tile of that, two by two: MATRICES x MATRICES matrices of
// SIDE x SIDE (gemm/half_2x2.wgsl, gemm/half_4x4.wgsl). Both operands are staged through workgroup memory
// (gemm/half_stage.wgsl). The loads of the next slice are in flight while this one is multiplied.
//
// An operand is multiplied by a power of two before it is rounded, as large as the magnitudes that the workgroup has loaded of it
// allow; where later ones are too large for it, the sums so far are brought to a smaller one. So no finite value overflows, and
// none vanishes beside which another counts.
//
// Subgroups may have any size: those beyond the fourth, where they are smaller than the largest, load and store, and multiply nothing.

const SUBGROUPS = 4u;
const TILE = 2u * MATRICES * SIDE;
const TILE_M = TILE;
const TILE_N = TILE;
const MATRIX = SIDE * SIDE;

// A matrix of each subgroup, on its way to finish() or to another scale.
var<workgroup> sums_memory: array<f32, SUBGROUPS * MATRIX>;

// What an invocation is.
struct Place {
    lane: u32,        // in its workgroup
    subgroup: u32,
    row_0: u32,       // of its workgroup's tile
    col_0: u32,
}

// naga files what it demands of matrices' control flow under derivatives, and takes a subgroup's number for one that differs within it.
@diagnostic(off, derivative_uniformity)
@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) member: u32,
) {
    let tile = tile_of(group.x + group.y * 65535u);
    if (tile.y >= M) {
        return;
    }
    let ks = begin(tile.x);
    let place = Place(lane, subgroup, tile.y, tile.z);
    let my_row = subgroup / 2u * (MATRICES * SIDE);
    let my_col = subgroup % 2u * (MATRICES * SIDE);
    let lines = load_lines(place);
    if (lane == 0u) {
        atomicStore(&peak_a, 0u);
        atomicStore(&peak_b, 0u);
    }
    workgroupBarrier();

    var sums: Sums;
    var scale = vec2<i32>(MOST_SCALE);   // powers of two, of a and of b
    if (ks.x < ks.y) {
        var a = load_quads_a(lines, lane, ks.x, ks.y);
        var b = load_quads_b(lines, lane, ks.x, ks.y);
        for (var k_0 = ks.x; k_0 < ks.y; k_0 = k_0 + TILE_K) {
            measure(a, b, member);
            // Behind this all know the peaks, and none reads the slice before.
            workgroupBarrier();
            let wanted = vec2<i32>(scale_for(scale.x, atomicLoad(&peak_a)), scale_for(scale.y, atomicLoad(&peak_b)));
            if (any(wanted != scale)) {
                rescale(&sums, place, wanted - scale);
                scale = wanted;
            }
            stage(TILE_A, A_K_CONTIGUOUS, lane, a, power(scale.x));
            stage(TILE_B, B_K_CONTIGUOUS, lane, b, power(scale.y));
            // Behind the last slice these are zeros: with a condition around them compilers wait for them sooner.
            a = load_quads_a(lines, lane, k_0 + TILE_K, ks.y);
            b = load_quads_b(lines, lane, k_0 + TILE_K, ks.y);
            workgroupBarrier();
            if (subgroup < SUBGROUPS) {
                multiply(&sums, my_row, my_col);
            }
        }
    }
    finish_sums(&sums, place, -scale);
}

// A matrix times 2^by.
@diagnostic(off, derivative_uniformity)
fn rescaled(sum: Matrix, place: Place, by: vec2<i32>) -> Matrix {
    var result = sum;
    workgroupBarrier();
    if (place.subgroup < SUBGROUPS) {
        coopStoreT(sum, &sums_memory[place.subgroup * MATRIX], SIDE);
    }
    workgroupBarrier();
    for (var i = place.lane; i < SUBGROUPS * MATRIX; i = i + WORKGROUP) {
        sums_memory[i] = sums_memory[i] * power(by.x) * power(by.y);
    }
    workgroupBarrier();
    if (place.subgroup < SUBGROUPS) {
        result = coopLoadT<Matrix>(&sums_memory[place.subgroup * MATRIX], SIDE);
    }
    return result;
}

// Passes the matrix at (row, col) of each subgroup's to finish(), times 2^by. Those past the edge are left out.
@diagnostic(off, derivative_uniformity)
fn finish_matrix(sum: Matrix, row: u32, col: u32, place: Place, by: vec2<i32>) {
    workgroupBarrier();
    if (place.subgroup < SUBGROUPS) {
        coopStoreT(sum, &sums_memory[place.subgroup * MATRIX], SIDE);
    }
    workgroupBarrier();
    for (var quad = place.lane; quad < SUBGROUPS * MATRIX / 4u; quad = quad + WORKGROUP) {
        let subgroup = quad / (MATRIX / 4u);
        let within = 4u * (quad % (MATRIX / 4u));
        let to_row = place.row_0 + (subgroup / 2u * MATRICES + row) * SIDE + within / SIDE;
        let to_col = place.col_0 + (subgroup % 2u * MATRICES + col) * SIDE + within % SIDE;
        if (to_row < M && to_col < N) {
            let at = 4u * quad;
            let sums = vec4<f32>(sums_memory[at], sums_memory[at + 1u], sums_memory[at + 2u], sums_memory[at + 3u]);
            finish(to_row, to_col, sums * power(by.x) * power(by.y));
        }
    }
}
