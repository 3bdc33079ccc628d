// Where four rows of a begin.

struct RowsA {
    row_0: OffsetA,
    row_1: OffsetA,
    row_2: OffsetA,
    row_3: OffsetA,
}

// Those from `row` on; past the edge the last row is repeated.
fn rows_a(row: u32) -> RowsA {
    let rows = min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(M - 1u));
    return RowsA(a_row(rows.x), a_row(rows.y), a_row(rows.z), a_row(rows.w));
}
