// A vec4 of a: four contiguous rows at one k, one load. M is a multiple of four.

alias RowsA = OffsetA;

// The address of rows from `row` on, a multiple of four; past the edge the last four are repeated.
fn rows_a(row: u32) -> RowsA {
    return a_row(min(row, M - 4u));
}

fn vec4_a(rows: RowsA, k: u32) -> vec4<f32> {
    let at = rows + a_k(k);
    return select(vec4<f32>(), load_vec4_a(at), holds_a(at));
}
