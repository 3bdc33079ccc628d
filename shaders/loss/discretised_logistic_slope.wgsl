// slope[r] = sum_c b sigmoid(-b) - a sigmoid(a) + w / (exp(w) - 1), of each level the terms that it has;
// y, x [ROWS, COLS], logscale [1, 1], slope [ROWS, 1]
// One workgroup a row.

override COLS: u32;

fn summand(row: u32, column: u32) -> f32 {
    let i = row * COLS + column;
    // w / (exp(w) - 1) = 1 - w A'(-w)
    let width = LEVEL * inverse_scale();
    let inner = select(1.0 - width * cumulant_slope(-width), 0.0, is_first(i) || is_last(i));
    return upper_end(i) * above(i) - lower_end(i) * below(i) + inner;
}
