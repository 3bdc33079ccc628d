// Operand B has a last column of ones, the bias column, which is not loaded: its sums are those of A alone.

// Above every address; an address plus this does not overflow.
const ONES = 0x80000000u;

fn column(col: u32) -> u32 {
    if (col == N - 1u) {
        return ONES;
    }
    return b_col(col);
}

fn column_value(at: u32) -> f32 {
    if (at >= ONES) {
        return 1.0;
    }
    return load_b(at);
}
