// Quads of a k-contiguous a, element by element.

alias LineA = OffsetA;

// The address of a row; past the edge the last one is repeated.
fn line_a(row: u32) -> LineA {
    return a_row(min(row, M - 1u));
}

fn load_quad_a(line: LineA, k: u32, k_end: u32) -> Quad {
    let ks = vec4<u32>(k, k + 1u, k + 2u, k + 3u);
    let inside = min(ks, vec4<u32>(k_end - 1u));
    let values = vec4<f32>(
        load_a(line + a_k(inside.x)), load_a(line + a_k(inside.y)),
        load_a(line + a_k(inside.z)), load_a(line + a_k(inside.w)));
    return Quad(select(vec4<f32>(), values, ks < vec4<u32>(k_end)), true);
}
