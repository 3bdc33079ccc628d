// b [K, N] is patches.

alias OffsetB = vec2<u32>;

fn b_col(col: u32) -> OffsetB {
    return patch_col(col);
}

fn b_k(k: u32) -> OffsetB {
    return patch_row(k);
}
