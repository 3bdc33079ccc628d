// A vec4 of a, loaded element by element.

// Whether a is k-contiguous.
override A_K_CONTIGUOUS: bool;

// Where four rows begin.
struct RowsA {
    row_0: OffsetA,
    row_1: OffsetA,
    row_2: OffsetA,
    row_3: OffsetA,
}

// Rows from `row` on; past the edge the last row is repeated.
fn rows_a(row: u32) -> RowsA {
    let rows = min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(M - 1u));
    return RowsA(a_row(rows.x), a_row(rows.y), a_row(rows.z), a_row(rows.w));
}

fn vec4_a(rows: RowsA, k: u32) -> vec4<f32> {
    let at = a_k(k);
    return vec4<f32>(load_a(rows.row_0 + at), load_a(rows.row_1 + at), load_a(rows.row_2 + at), load_a(rows.row_3 + at));
}
