// b [K, LATENT] is a draw from a posterior [K, mean LATENT | logvar LATENT].

fn b_col(col: u32) -> u32 {
    return col;
}

fn b_k(k: u32) -> u32 {
    return k * 2u * LATENT;
}

fn load_b(at: u32) -> f32 {
    return reparameterised(at);
}
