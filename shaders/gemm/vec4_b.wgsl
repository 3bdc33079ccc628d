// A vec4 of b: four columns at one k, loaded element by element.

fn vec4_b(cols: ColsB, k: u32) -> vec4<f32> {
    let at = b_k(k);
    return vec4<f32>(
        load_b(cols.col_0 + at), load_b(cols.col_1 + at),
        load_b(cols.col_2 + at), load_b(cols.col_3 + at));
}
