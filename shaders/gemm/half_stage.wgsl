// Slices of both operands, TILE_K deep, staged in workgroup memory in f16, with k contiguous: a's as [row, k], b's as [column, k]. A
// stride is eight more than the slice is deep, so that successive rows lie in different banks of that memory.
//
// An invocation loads QUADS quads of each operand, those of a slice while the slice before is multiplied: 128 bits each, where the
// operand is stored so. Where it is not k-contiguous they are those of as many successive k, so that of each row QUADS elements are
// stored at once.

override WORKGROUP: u32;

// 1, 2 or 4.
override QUADS: u32 = TILE * TILE_K / 4u / WORKGROUP;

const STRIDE = TILE_K + 8u;
const TILE_A = 0u;
const TILE_B = TILE * STRIDE;

var<workgroup> tiles: array<f16, 2u * TILE * STRIDE>;

fn matrix_a(row: u32, k: u32) -> MatrixA {
    return coopLoadT<MatrixA>(&tiles[TILE_A + row * STRIDE + k], STRIDE);
}

fn matrix_b(k: u32, col: u32) -> MatrixB {
    return coopLoad<MatrixB>(&tiles[TILE_B + col * STRIDE + k], STRIDE);
}

// The largest magnitudes of a and b so far, as bits: numbers from 0 on have their bits' order.
var<workgroup> peak_a: atomic<u32>;
var<workgroup> peak_b: atomic<u32>;

// Scales are powers of two: the largest; the power of two that a peak is brought to; and the one that it must stay below.
const MOST_SCALE = 100;
const FIRST_PEAK = 10;
const LAST_PEAK = 15;

// 2^n; 0 below f32's normal numbers.
fn power(n: i32) -> f32 {
    return bitcast<f32>(u32(clamp(n + 127, 0, 254)) << 23u);
}

// The scale of an operand with this peak: as it was, where the peak stays small enough. Infinities stay what they are.
fn scale_for(scale: i32, peak: u32) -> i32 {
    let magnitude = i32(peak >> 23u) - 127;
    return select(scale, FIRST_PEAK - magnitude, magnitude + scale >= LAST_PEAK);
}

// The first k and the first row (column) of an invocation's n-th quad.
fn slot(lane: u32, n: u32, k_contiguous: bool) -> vec2<u32> {
    if (k_contiguous) {
        let quad = lane + n * WORKGROUP;
        return vec2<u32>(quad % (TILE_K / 4u) * 4u, quad / (TILE_K / 4u));
    }
    let blocks = TILE_K / QUADS;
    return vec2<u32>(lane % blocks * QUADS + n, lane / blocks * 4u);
}

// The addresses of an invocation's quads, by line.
struct Lines {
    a_0: LineA,
    a_1: LineA,
    a_2: LineA,
    a_3: LineA,
    b_0: LineB,
    b_1: LineB,
    b_2: LineB,
    b_3: LineB,
}

fn row_of(place: Place, n: u32) -> u32 {
    return place.row_0 + slot(place.lane, n, A_K_CONTIGUOUS).y;
}

fn col_of(place: Place, n: u32) -> u32 {
    return place.col_0 + slot(place.lane, n, B_K_CONTIGUOUS).y;
}

fn load_lines(place: Place) -> Lines {
    return Lines(
        line_a(row_of(place, 0u)), line_a(row_of(place, 1u)), line_a(row_of(place, 2u)), line_a(row_of(place, 3u)),
        line_b(col_of(place, 0u)), line_b(col_of(place, 1u)), line_b(col_of(place, 2u)), line_b(col_of(place, 3u)));
}

struct Quads {
    q_0: Quad,
    q_1: Quad,
    q_2: Quad,
    q_3: Quad,
}

// Loads an invocation's quads of the slice from k_0 on; k from k_end on does not count.
fn load_quads_a(lines: Lines, lane: u32, k_0: u32, k_end: u32) -> Quads {
    var quads: Quads;
    quads.q_0 = load_quad_a(lines.a_0, k_0 + slot(lane, 0u, A_K_CONTIGUOUS).x, k_end);
    if (QUADS > 1u) {
        quads.q_1 = load_quad_a(lines.a_1, k_0 + slot(lane, 1u, A_K_CONTIGUOUS).x, k_end);
    }
    if (QUADS > 2u) {
        quads.q_2 = load_quad_a(lines.a_2, k_0 + slot(lane, 2u, A_K_CONTIGUOUS).x, k_end);
        quads.q_3 = load_quad_a(lines.a_3, k_0 + slot(lane, 3u, A_K_CONTIGUOUS).x, k_end);
    }
    return quads;
}

fn load_quads_b(lines: Lines, lane: u32, k_0: u32, k_end: u32) -> Quads {
    var quads: Quads;
    quads.q_0 = load_quad_b(lines.b_0, k_0 + slot(lane, 0u, B_K_CONTIGUOUS).x, k_end);
    if (QUADS > 1u) {
        quads.q_1 = load_quad_b(lines.b_1, k_0 + slot(lane, 1u, B_K_CONTIGUOUS).x, k_end);
    }
    if (QUADS > 2u) {
        quads.q_2 = load_quad_b(lines.b_2, k_0 + slot(lane, 2u, B_K_CONTIGUOUS).x, k_end);
        quads.q_3 = load_quad_b(lines.b_3, k_0 + slot(lane, 3u, B_K_CONTIGUOUS).x, k_end);
    }
    return quads;
}

fn held(quad: Quad) -> vec4<f32> {
    return select(vec4<f32>(), quad.values, quad.is_held);
}

// The bits of the largest magnitude of an invocation's quads; those that it does not load are zeros.
fn peak(quads: Quads) -> u32 {
    let m = max(max(abs(held(quads.q_0)), abs(held(quads.q_1))), max(abs(held(quads.q_2)), abs(held(quads.q_3))));
    return bitcast<u32>(max(max(m.x, m.y), max(m.z, m.w)));
}

fn measure(a: Quads, b: Quads, member: u32) {
    let of_a = subgroupMax(peak(a));
    let of_b = subgroupMax(peak(b));
    if (member == 0u) {
        atomicMax(&peak_a, of_a);
        atomicMax(&peak_b, of_b);
    }
}

// Stages an invocation's quads of an operand in its tile.
fn stage(tile: u32, k_contiguous: bool, lane: u32, quads: Quads, scale: f32) {
    let q_0 = vec4<f16>(held(quads.q_0) * scale);
    let q_1 = vec4<f16>(held(quads.q_1) * scale);
    let q_2 = vec4<f16>(held(quads.q_2) * scale);
    let q_3 = vec4<f16>(held(quads.q_3) * scale);
    let at = tile + staged_at(slot(lane, 0u, k_contiguous));
    if (!k_contiguous) {
        store_staged(at, vec4<f16>(q_0.x, q_1.x, q_2.x, q_3.x), QUADS);
        store_staged(at + STRIDE, vec4<f16>(q_0.y, q_1.y, q_2.y, q_3.y), QUADS);
        store_staged(at + 2u * STRIDE, vec4<f16>(q_0.z, q_1.z, q_2.z, q_3.z), QUADS);
        store_staged(at + 3u * STRIDE, vec4<f16>(q_0.w, q_1.w, q_2.w, q_3.w), QUADS);
        return;
    }
    store_staged(at, q_0, 4u);
    if (QUADS > 1u) {
        store_staged(tile + staged_at(slot(lane, 1u, true)), q_1, 4u);
    }
    if (QUADS > 2u) {
        store_staged(tile + staged_at(slot(lane, 2u, true)), q_2, 4u);
        store_staged(tile + staged_at(slot(lane, 3u, true)), q_3, 4u);
    }
}

fn staged_at(at_slot: vec2<u32>) -> u32 {
    return at_slot.y * STRIDE + at_slot.x;
}

// Stores the first 1, 2 or 4 of these.
fn store_staged(at: u32, values: vec4<f16>, count: u32) {
    tiles[at] = values.x;
    if (count > 1u) {
        tiles[at + 1u] = values.y;
    }
    if (count > 2u) {
        tiles[at + 2u] = values.z;
        tiles[at + 3u] = values.w;
    }
}
