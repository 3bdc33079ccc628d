// Quads of a with contiguous rows, element by element (gemm/vec4_a.wgsl).

alias LineA = RowsA;

fn line_a(row: u32) -> LineA {
    return rows_a(row);
}

fn load_quad_a(line: LineA, k: u32, k_end: u32) -> Quad {
    return Quad(vec4_a(line, min(k, k_end - 1u)), k < k_end);
}
