// Quads of a k-contiguous b, element by element.

alias LineB = OffsetB;

// The address of a column; past the edge the last one is repeated.
fn line_b(col: u32) -> LineB {
    return b_col(min(col, N - 1u));
}

fn load_quad_b(line: LineB, k: u32, k_end: u32) -> Quad {
    let ks = vec4<u32>(k, k + 1u, k + 2u, k + 3u);
    let inside = min(ks, vec4<u32>(k_end - 1u));
    let values = vec4<f32>(
        load_b(line + b_k(inside.x)), load_b(line + b_k(inside.y)),
        load_b(line + b_k(inside.z)), load_b(line + b_k(inside.w)));
    return Quad(select(vec4<f32>(), values, ks < vec4<u32>(k_end)), true);
}
