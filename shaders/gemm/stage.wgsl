// Slices of both operands, TILE_K deep, staged in workgroup memory (common/tiles.wgsl): a's as [TILE_K, STRIDE_A] with rows contiguous,
// b's as [TILE_K, STRIDE_B]. A stride is four more than the tile, so that rows of successive k lie in different banks of that memory.
//
// Invocations load quads, four elements that are contiguous in the operand: of four k where it is k-contiguous, else of four rows
// (columns of b). Each loads QUADS_A of a and one of b, those of a slice while the slice before is multiplied.

override TILE_M: u32;
override TILE_N: u32;
override TILE_K: u32;

// Quads of a that an invocation loads: 1 or 2.
override QUADS_A: u32 = TILE_M * TILE_K / 4u / WORKGROUP;
override STRIDE_A: u32 = TILE_M + 4u;
override STRIDE_B: u32 = TILE_N + 4u;

// A quad's first k and first row (column) within the slice of a tile of so many rows (columns).
fn slot(quad: u32, k_contiguous: bool, tile: u32) -> vec2<u32> {
    if (k_contiguous) {
        return vec2<u32>(quad % (TILE_K / 4u) * 4u, quad / (TILE_K / 4u));
    }
    return vec2<u32>(quad / (tile / 4u), quad % (tile / 4u) * 4u);
}

// An invocation's load slots in each slice, and the addresses of their lines.
struct LoadSlots {
    slot_a_0: vec2<u32>,
    slot_a_1: vec2<u32>,
    slot_b: vec2<u32>,
    from_a_0: LineA,
    from_a_1: LineA,
    from_b: LineB,
}

fn load_slots(lane: u32, row_0: u32, col_0: u32) -> LoadSlots {
    let a_0 = slot(lane, A_K_CONTIGUOUS, TILE_M);
    let a_1 = slot(lane + WORKGROUP, A_K_CONTIGUOUS, TILE_M);
    let b = slot(lane, B_K_CONTIGUOUS, TILE_N);
    return LoadSlots(a_0, a_1, b, line_a(row_0 + a_0.y), line_a(row_0 + a_1.y), line_b(col_0 + b.y));
}

struct Quads {
    of_a_0: Quad,
    of_a_1: Quad,
    of_b: Quad,
}

// Loads an invocation's quads of the slice from k_0 on; k from k_end on does not count.
fn load_quads(slots: LoadSlots, k_0: u32, k_end: u32) -> Quads {
    var quads: Quads;
    quads.of_a_0 = load_quad_a(slots.from_a_0, k_0 + slots.slot_a_0.x, k_end);
    if (QUADS_A > 1u) {
        quads.of_a_1 = load_quad_a(slots.from_a_1, k_0 + slots.slot_a_1.x, k_end);
    }
    quads.of_b = load_quad_b(slots.from_b, k_0 + slots.slot_b.x, k_end);
    return quads;
}

fn stage(slots: LoadSlots, quads: Quads) {
    stage_a(slots.slot_a_0, quads.of_a_0);
    if (QUADS_A > 1u) {
        stage_a(slots.slot_a_1, quads.of_a_1);
    }
    stage_b(slots.slot_b, quads.of_b);
}

fn stage_a(at_slot: vec2<u32>, quad: Quad) {
    let values = select(vec4<f32>(), quad.values, quad.is_held);
    let apart = select(1u, STRIDE_A, A_K_CONTIGUOUS);
    let at = at_slot.x * STRIDE_A + at_slot.y;
    tile_a[at] = values.x;
    tile_a[at + apart] = values.y;
    tile_a[at + 2u * apart] = values.z;
    tile_a[at + 3u * apart] = values.w;
}

fn stage_b(at_slot: vec2<u32>, quad: Quad) {
    let values = select(vec4<f32>(), quad.values, quad.is_held);
    let apart = select(1u, STRIDE_B, B_K_CONTIGUOUS);
    let at = at_slot.x * STRIDE_B + at_slot.y;
    tile_b[at] = values.x;
    tile_b[at + apart] = values.y;
    tile_b[at + 2u * apart] = values.z;
    tile_b[at + 3u * apart] = values.w;
}

// Four rows of a at one k, and four columns of b: `at` is a multiple of four, so that compilers make one load of them.
fn staged_a(at: u32) -> vec4<f32> {
    return vec4<f32>(tile_a[at], tile_a[at + 1u], tile_a[at + 2u], tile_a[at + 3u]);
}

fn staged_b(at: u32) -> vec4<f32> {
    return vec4<f32>(tile_b[at], tile_b[at + 1u], tile_b[at + 2u], tile_b[at + 3u]);
}

// Passes sums to finish(): those of the invocation at (row, column) `at` of the threads of the tile at row_0, col_0. Those past the
// edge are left out.
fn finish_sums(row_0: u32, col_0: u32, at: vec2<u32>, sum: ptr<function, Sums>) {
    for (var r = 0u; r < THREAD_ROWS; r = r + 1u) {
        let row = row_0 + r / 4u * (TILE_M / 2u) + 4u * at.x + r % 4u;
        for (var c = 0u; c < THREAD_COLS / 4u; c = c + 1u) {
            let col = col_0 + c * (TILE_N / 2u) + 4u * at.y;
            if (row < M && col < N) {
                finish(row, col, (*sum)[r][c]);
            }
        }
    }
}
