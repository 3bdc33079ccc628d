//! Bringing values to another range, and back. Fitted and applied in f64, so that numbers whose differences f32 does not
//! hold, as seconds since 1970, keep them.

use serde::{Deserialize, Serialize};

use super::numbers::Numbers;
use crate::error::Result;

/// How values are scaled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Pixels and bytes become fractions of white (255, or 65535 of 16 bits); other numbers stay, or where the loss needs
    /// them in [0, 1] are brought there and that is said
    #[default]
    Auto,
    /// Everything is divided by 255
    #[serde(rename = "255")]
    #[value(name = "255")]
    By255,
    /// The smallest value of the training set becomes 0, the largest 1; other sets are clipped to that
    Minmax,
    /// The training set's mean becomes 0, its standard deviation 1
    Standard,
    /// Numbers stay as they are, bytes too
    None,
}

/// `scaled = (value - offset) * factor`, for all values of an example alike or for each column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scaling {
    /// One, or one for each value of an example.
    offsets: Vec<f64>,
    /// As many; none is 0.
    factors: Vec<f64>,
    /// Whether scaled values are clipped to [0, 1].
    #[serde(default)]
    clip: bool,
}

/// A deviation or a range of this share of the largest value is what f64 rounds away.
const ROUNDING: f64 = 16.0 * f64::EPSILON;

impl Scaling {
    /// The scaling that a training set asks for; none where its values stay as a batch reads them. With several `columns`
    /// each is scaled by itself; a constant is only moved. `white` is what counts as 1 where nothing is scaled.
    pub(super) fn fit(scale: Scale, numbers: &Numbers, white: Option<f64>, columns: usize) -> Result<Option<Scaling>> {
        let (offsets, factors) = match scale {
            Scale::Auto => return Ok(None),
            Scale::By255 if white == Some(255.0) => return Ok(None),
            Scale::None if white.is_none() => return Ok(None),
            Scale::By255 => (vec![0.0], vec![1.0 / 255.0]),
            Scale::None => (vec![0.0], vec![1.0]),
            Scale::Minmax => return Scaling::minmax(numbers, columns).map(Some),
            Scale::Standard => moments(numbers, columns)?,
        };
        Ok(Some(Scaling { offsets, factors, clip: false }))
    }

    /// The least value of each column becomes 0, the largest 1.
    pub(super) fn minmax(numbers: &Numbers, columns: usize) -> Result<Scaling> {
        let Range { least: offsets, most } = Range::of(numbers, columns)?;
        let factor = |(&least, &most): (&f64, &f64)| match most - least <= ROUNDING * least.abs().max(most.abs()) {
            true => 1.0,
            false => 1.0 / (most - least),
        };
        let factors = offsets.iter().zip(&most).map(factor).collect();
        Ok(Scaling { offsets, factors, clip: true })
    }

    /// 0 stays 0, and this value becomes 1.
    pub(super) fn by_largest(most: f64) -> Scaling {
        Scaling { offsets: vec![0.0], factors: vec![1.0 / most], clip: true }
    }

    /// Whether it is one of examples of so many values.
    pub(crate) fn fits(&self, features: usize) -> bool {
        let finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
        self.offsets.len() == self.factors.len()
            && (self.offsets.len() == 1 || self.offsets.len() == features)
            && finite(&self.offsets)
            && finite(&self.factors)
            && self.factors.iter().all(|factor| *factor != 0.0)
    }

    /// A value of column `at`, scaled and not clipped.
    pub(super) fn scaled(&self, at: usize, value: f64) -> f64 {
        let at = if self.offsets.len() == 1 { 0 } else { at };
        (value - self.offsets[at]) * self.factors[at]
    }

    /// Whether scaled values are clipped to [0, 1].
    pub(super) fn clips(&self) -> bool {
        self.clip
    }

    /// Brings scaled values `[n, features]` back.
    pub fn undo(&self, values: &mut [f32]) {
        for row in values.chunks_mut(self.offsets.len()) {
            for ((value, offset), factor) in row.iter_mut().zip(&self.offsets).zip(&self.factors) {
                *value = (f64::from(*value) / factor + offset) as f32;
            }
        }
    }
}

/// The least and the largest value of each column.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) least: Vec<f64>,
    pub(super) most: Vec<f64>,
}

impl Range {
    pub(super) fn of(numbers: &Numbers, columns: usize) -> Result<Range> {
        let mut range = Range { least: vec![f64::INFINITY; columns], most: vec![f64::NEG_INFINITY; columns] };
        each_column(numbers, columns, |at, value| {
            range.least[at] = range.least[at].min(value);
            range.most[at] = range.most[at].max(value);
        })?;
        Ok(range)
    }

    /// The least and the largest value of all.
    pub(super) fn whole(&self) -> [f64; 2] {
        let least = self.least.iter().copied().fold(f64::INFINITY, f64::min);
        [least, self.most.iter().copied().fold(f64::NEG_INFINITY, f64::max)]
    }
}

/// Calls `f(column, value)` for each value, whole examples being cut into `columns`.
fn each_column(numbers: &Numbers, columns: usize, mut f: impl FnMut(usize, f64)) -> Result<()> {
    let mut at = 0;
    numbers.each(|value| {
        f(at, value);
        at = if at + 1 == columns { 0 } else { at + 1 };
    })
}

/// The mean of each column, and one over its standard deviation.
fn moments(numbers: &Numbers, columns: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    let range = Range::of(numbers, columns)?;
    let count = (numbers.len() / columns) as f64;
    // Sums of differences from a value among them: no digit is lost where all are far from 0.
    let mut means = vec![0.0; columns];
    each_column(numbers, columns, |at, value| means[at] += (value - range.least[at]) / count)?;
    means.iter_mut().zip(&range.least).for_each(|(mean, least)| *mean += least);
    let mut variances = vec![0.0; columns];
    each_column(numbers, columns, |at, value| variances[at] += (value - means[at]).powi(2) / count)?;
    let factor = |at: usize| {
        let (least, most, deviation) = (range.least[at], range.most[at], variances[at].sqrt());
        let constant = least == most || deviation <= ROUNDING * least.abs().max(most.abs());
        if constant { 1.0 } else { 1.0 / deviation }
    };
    Ok((means, (0..columns).map(factor).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(scale: Scale, numbers: Numbers, white: Option<f64>, columns: usize) -> (Vec<f64>, Scaling) {
        let scaling = Scaling::fit(scale, &numbers, white, columns).unwrap().unwrap();
        (numbers.converted(2, |at, value| scaling.scaled(at, value)), scaling)
    }

    #[test]
    fn tables_are_scaled_by_column_and_images_as_a_whole() {
        let numbers = || Numbers::Floats(vec![10.0, 20.0, 12.0, 40.0]);
        assert_eq!(scaled(Scale::Minmax, numbers(), None, 2).0, [0.0, 0.0, 1.0, 1.0]);
        let close =
            |got: Vec<f64>, wanted: [f64; 4]| assert!(got.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-15));
        close(scaled(Scale::Minmax, numbers(), None, 1).0, [0.0, 10.0 / 30.0, 2.0 / 30.0, 1.0]);
        assert_eq!(scaled(Scale::Standard, numbers(), None, 2).0, [-1.0, -1.0, 1.0, 1.0]);
    }

    #[test]
    fn a_constant_is_only_moved() {
        let (values, scaling) = scaled(Scale::Minmax, Numbers::Floats(vec![7.0; 4]), None, 2);
        assert_eq!((values, scaling.factors), (vec![0.0; 4], vec![1.0; 2]));
        // The mean of 0.1 is rounded, so that its differences from it are not 0.
        let (values, scaling) = scaled(Scale::Standard, Numbers::Doubles(vec![0.1; 2000]), None, 2);
        assert!(values.iter().all(|value| value.abs() < 1e-15) && scaling.factors == [1.0; 2], "{:?}", scaling.factors);
        let numbers = Numbers::Doubles([1e9, 1e9 + 1e-7].repeat(10));
        assert_eq!(scaled(Scale::Standard, numbers, None, 1).1.factors, [1.0]);
    }

    #[test]
    fn differences_that_f32_does_not_hold_are_kept() {
        let seconds = Numbers::Doubles((0..4).map(|second| 1_700_000_000.0 + f64::from(second)).collect());
        assert_eq!(scaled(Scale::Minmax, seconds, None, 1).0, [0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0]);
    }

    #[test]
    fn what_is_scaled_comes_back() {
        let bytes = || Numbers::Bytes(vec![0, 51, 255, 10]);
        assert_eq!(scaled(Scale::None, bytes(), Some(255.0), 1).0, [0.0, 51.0, 255.0, 10.0]);
        for scale in [Scale::Minmax, Scale::Standard] {
            let (values, scaling) = scaled(scale, bytes(), Some(255.0), 2);
            assert!(scaling.fits(2) && !scaling.fits(3));
            let mut values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
            scaling.undo(&mut values);
            let wanted = [0.0, 51.0, 255.0, 10.0];
            assert!(values.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-4), "{values:?}");
        }
    }

    #[test]
    fn values_that_stay_have_no_scaling() {
        let fit = |scale, white| Scaling::fit(scale, &Numbers::Floats(vec![0.0, 255.0]), white, 1).unwrap();
        assert!(fit(Scale::Auto, Some(255.0)).is_none() && fit(Scale::Auto, None).is_none());
        assert!(fit(Scale::By255, Some(255.0)).is_none() && fit(Scale::None, None).is_none());
        assert!(fit(Scale::By255, None).is_some() && fit(Scale::None, Some(255.0)).is_some());
    }
}
