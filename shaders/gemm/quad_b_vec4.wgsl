// Quads of b in one load: the contiguous extent, K or N, and for K the end of k too, are multiples of four.

alias LineB = OffsetB;

// The address of a quad's column; past the edge the last one, or the last four, are repeated.
fn line_b(col: u32) -> LineB {
    return b_col(min(col, N - select(4u, 1u, B_K_CONTIGUOUS)));
}

fn load_quad_b(line: LineB, k: u32, k_end: u32) -> Quad {
    let at = line + b_k(min(k, k_end - select(1u, 4u, B_K_CONTIGUOUS)));
    return Quad(load_vec4_b(at), k < k_end && holds_b(at));
}
