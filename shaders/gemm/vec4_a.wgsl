// A vec4 of a: four rows at one k, loaded element by element.

fn vec4_a(rows: RowsA, k: u32) -> vec4<f32> {
    let at = a_k(k);
    return vec4<f32>(
        load_a(rows.row_0 + at), load_a(rows.row_1 + at),
        load_a(rows.row_2 + at), load_a(rows.row_3 + at));
}
