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

// The standard normal CDF, (1 + erf(x / sqrt 2)) / 2: twin of normal_cdf in src/compute/elementary.rs.
fn normal_cdf(x: f32) -> f32 {
    let size = min(abs(x), 20.0);
    let t = 1.0 / (1.0 + 0.265 * size);
    var p = 0.030912813;
    p = p * t - 0.14466311;
    p = p * t + 0.21868849;
    p = p * t - 0.11733663;
    p = p * t + 0.13861055;
    p = p * t + 0.060038578;
    p = p * t + 0.10277011;
    p = p * t + 0.10523708;
    p = p * t + 0.10574212;
    let tail = exp(-0.5 * size * size) * (p * t);
    return select(tail, 1.0 - tail, x > 0.0);
}

// The standard normal density, exp(-x^2 / 2) / sqrt(2 pi).
fn normal_density(x: f32) -> f32 {
    let size = min(abs(x), 20.0);
    return 0.3989422804 * exp(-0.5 * size * size);
}
