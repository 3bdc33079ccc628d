// Quads of b with contiguous columns, element by element (gemm/vec4_b.wgsl).

alias LineB = ColsB;

fn line_b(col: u32) -> LineB {
    return cols_b(col);
}

fn load_quad_b(line: LineB, k: u32, k_end: u32) -> Quad {
    return Quad(vec4_b(line, min(k, k_end - 1u)), k < k_end);
}
