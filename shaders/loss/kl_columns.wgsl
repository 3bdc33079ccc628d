// y[e] = 1/2 sum_{r < rows} (exp(logvar) + mean^2 - 1 - logvar) / rows; posterior of BATCH rows, y [1, LATENT]
// One workgroup a column.

fn summand(row: u32, i: u32) -> f32 {
    return kl_of(i, row);
}
