// Functions that WGSL lacks, or promises too little of.

// log(1 + e) for e in [0, 1], to about one unit in the last place: the series of 2 atanh(e / (2 + e)).
// WGSL's own log may be off by 2^-21 here.
fn log1p_unit(e: f32) -> f32 {
    let s = e / (2.0 + e);
    let q = s * s;
    let series = 1.0 + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0
        + q * (1.0 / 11.0 + q * (1.0 / 13.0 + q * (1.0 / 15.0)))))));
    return 2.0 * s * series;
}

// log(1 + exp(x)), without overflow.
fn softplus(x: f32) -> f32 {
    return max(x, 0.0) + log1p_unit(exp(-min(abs(x), 80.0)));
}

// 1 / (1 + exp(-x)); exp is kept within f32, since WGSL leaves its overflow undefined.
fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(-clamp(x, -80.0, 80.0)));
}
