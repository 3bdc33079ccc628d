// A vec4 of a, loaded element by element.

// Whether a is k-contiguous.
override A_K_CONTIGUOUS: bool;

// Where rows from `row` on begin; past the edge the last row is repeated.
fn rows_a(row: u32) -> vec4<u32> {
    let rows = min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(M - 1u));
    return vec4<u32>(a_row(rows.x), a_row(rows.y), a_row(rows.z), a_row(rows.w));
}

fn vec4_a(rows: vec4<u32>, k: u32) -> vec4<f32> {
    let at = rows + a_k(k);
    return vec4<f32>(load_a(at.x), load_a(at.y), load_a(at.z), load_a(at.w));
}
