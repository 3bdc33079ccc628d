// kl[r] = 1/2 sum_e (exp(logvar) + mean^2 - 1 - logvar); posterior of ROWS rows, kl [ROWS, 1]
// One workgroup a row.

fn summand(row: u32, i: u32) -> f32 {
    return kl_of(row, i);
}
