// a [M, K] is patches.

alias OffsetA = vec2<u32>;

fn a_row(row: u32) -> OffsetA {
    return patch_row(row);
}

fn a_k(k: u32) -> OffsetA {
    return patch_col(k);
}
