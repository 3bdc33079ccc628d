// Quads of a in one load: the contiguous extent, K or M, and for K the end of k too, are multiples of four.

alias LineA = OffsetA;

// The address of a quad's row; past the edge the last one, or the last four, are repeated.
fn line_a(row: u32) -> LineA {
    return a_row(min(row, M - select(4u, 1u, A_K_CONTIGUOUS)));
}

fn load_quad_a(line: LineA, k: u32, k_end: u32) -> Quad {
    let at = line + a_k(min(k, k_end - select(1u, 4u, A_K_CONTIGUOUS)));
    return Quad(load_vec4_a(at), k < k_end && holds_a(at));
}
