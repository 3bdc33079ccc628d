// a [M, K] is a draw from a posterior [M, mean K | logvar K].

fn a_row(row: u32) -> u32 {
    return row * 2u * K;
}

fn a_k(k: u32) -> u32 {
    return k;
}

fn load_a(at: u32) -> f32 {
    return reparameterised(at);
}
