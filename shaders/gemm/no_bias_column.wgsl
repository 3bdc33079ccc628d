// Every column of operand B is loaded.

fn column(col: u32) -> u32 {
    return b_col(col);
}

fn column_value(at: u32) -> f32 {
    return load_b(at);
}
