// loss[r] = sum_c softplus(-b) + softplus(a) - log(1 - exp(-w)), of each level the terms that it has;
// y, x [ROWS, COLS], logscale [1, 1], loss [ROWS, 1]
// One workgroup a row.

override COLS: u32;

fn summand(row: u32, column: u32) -> f32 {
    let i = row * COLS + column;
    let of_lower = softplus(lower_end(i));
    let of_upper = softplus(-upper_end(i));
    // log(1 - exp(-w)) = log w + A(-w)
    let inner = -5.541263545 - logscale[0] + cumulant(-LEVEL * inverse_scale());
    return select(select(of_lower + of_upper - inner, of_lower, is_last(i)), of_upper, is_first(i));
}
