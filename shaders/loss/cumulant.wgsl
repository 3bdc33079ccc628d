// The cumulant function of the continuous Bernoulli, A(l) = log((exp(l) - 1) / l), and its derivative, the mean: twins of those in
// src/ops/continuous_bernoulli.rs, which has the series' source.

const NEAR = 0.5;

// log x of a normal x above 0, to about two units in the last place: x = 2^n m, m from sqrt(1/2) to sqrt(2), and the series of
// 2 atanh((m - 1) / (m + 1)). WGSL's own log may be off by 2^-21 near 1.
fn natural_log(x: f32) -> f32 {
    let bits = bitcast<i32>(x);
    let n = (bits - 0x3f3504f3) >> 23u;
    let m = bitcast<f32>(bits - (n << 23u));
    let s = (m - 1.0) / (m + 1.0);
    let q = s * s;
    let series = q * (1.0 / 3.0 + q * (0.2 + q * (1.0 / 7.0 + q * (1.0 / 9.0))));
    return f32(n) * 0.693359375 + (f32(n) * -2.12194440e-4 + (2.0 * s + 2.0 * s * series));
}

fn cumulant(l: f32) -> f32 {
    let size = max(abs(l), NEAR);
    let far = max(l, 0.0) + natural_log((1.0 - exp(-min(size, 80.0))) / size);
    let q = l * l;
    let series = 1.0 / 24.0 + q * (-1.0 / 2880.0 + q * (1.0 / 181440.0 + q * (-1.0 / 9676800.0)));
    return select(far, 0.5 * l + q * series, abs(l) < NEAR);
}

fn cumulant_slope(l: f32) -> f32 {
    let size = max(abs(l), NEAR);
    let e = exp(-min(size, 80.0));
    let tail = 1.0 / size - e / (1.0 - e);
    let q = l * l;
    let series = 1.0 / 12.0 + q * (-1.0 / 720.0 + q * (1.0 / 30240.0 + q * (-1.0 / 1209600.0)));
    return select(select(tail, 1.0 - tail, l > 0.0), 0.5 + l * series, abs(l) < NEAR);
}
