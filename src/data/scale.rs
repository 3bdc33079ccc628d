//! Bringing values to another range, and back.

use serde::{Deserialize, Serialize};

use super::{Dataset, Images, Values};

/// What becomes of a data set's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Bytes become fractions of 255, other numbers stay
    Auto,
    /// Everything is divided by 255
    #[serde(rename = "255")]
    #[value(name = "255")]
    By255,
    /// The smallest value of the training set becomes 0, the largest 1
    Minmax,
    /// The training set's mean becomes 0, its deviation 1
    Standard,
    /// Numbers stay as they are, bytes too
    None,
}

/// `scaled = (value - offset) * factor`, for all values of an example alike or for each column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scaling {
    /// One, or one for each value of an example.
    offsets: Vec<f32>,
    /// As many; none is 0.
    factors: Vec<f32>,
}

impl Scaling {
    /// What brings a training set to this scale; nothing where its values stay as a batch reads them. A table's columns are
    /// scaled each by itself, an image's values all alike; a constant is only moved.
    pub fn fit(scale: Scale, data: &Dataset) -> Option<Scaling> {
        let bytes = matches!(data.train.pixels, Values::Bytes(_));
        let columns = if data.table { data.train.features() } else { 1 };
        let (offsets, factors) = match scale {
            Scale::Auto => return None,
            Scale::By255 | Scale::None if bytes == (scale == Scale::By255) => return None,
            Scale::By255 => (vec![0.0], vec![1.0 / 255.0]),
            Scale::None => (vec![0.0], vec![1.0]),
            Scale::Minmax => {
                let (least, most) = ranges(&data.train, columns);
                let factor = |(least, most): (&f32, &f32)| if most > least { 1.0 / (most - least) } else { 1.0 };
                let factors = least.iter().zip(&most).map(factor).collect();
                (least, factors)
            }
            Scale::Standard => moments(&data.train, columns),
        };
        Some(Scaling { offsets, factors })
    }

    /// Whether it is one of examples of so many values.
    pub(crate) fn fits(&self, features: usize) -> bool {
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        self.offsets.len() == self.factors.len()
            && (self.offsets.len() == 1 || self.offsets.len() == features)
            && finite(&self.offsets)
            && self.factors.iter().all(|factor| factor.is_finite() && *factor != 0.0)
    }

    /// Scales both sets, which then hold reals.
    pub fn apply(self, mut data: Dataset) -> Dataset {
        for images in [&mut data.train, &mut data.test] {
            let mut reals = match std::mem::replace(&mut images.pixels, Values::Bytes(Vec::new())) {
                Values::Bytes(bytes) => bytes.into_iter().map(f32::from).collect(),
                Values::Reals(reals) => reals,
            };
            self.each(&mut reals, |value, offset, factor| (value - offset) * factor);
            images.pixels = Values::Reals(reals);
        }
        data.scaling = Some(self);
        data
    }

    /// Brings scaled values `[n, features]` back.
    pub fn undo(&self, values: &mut [f32]) {
        self.each(values, |value, offset, factor| value / factor + offset);
    }

    fn each(&self, values: &mut [f32], f: impl Fn(f32, f32, f32) -> f32) {
        for row in values.chunks_mut(self.offsets.len()) {
            for ((value, &offset), &factor) in row.iter_mut().zip(&self.offsets).zip(&self.factors) {
                *value = f(*value, offset, factor);
            }
        }
    }
}

/// Calls `f(column, value)` for every value, in `columns` columns.
fn each_value(images: &Images, columns: usize, mut f: impl FnMut(usize, f32)) {
    let mut at = 0;
    let mut next = |value: f32| {
        f(at, value);
        at = if at + 1 == columns { 0 } else { at + 1 };
    };
    match &images.pixels {
        Values::Bytes(bytes) => bytes.iter().for_each(|&byte| next(f32::from(byte))),
        Values::Reals(reals) => reals.iter().for_each(|&real| next(real)),
    }
}

/// The least and the largest value of each of `columns` columns, whole examples being cut into them.
pub(super) fn ranges(images: &Images, columns: usize) -> (Vec<f32>, Vec<f32>) {
    let (mut least, mut most) = (vec![f32::INFINITY; columns], vec![f32::NEG_INFINITY; columns]);
    each_value(images, columns, |at, value| {
        least[at] = least[at].min(value);
        most[at] = most[at].max(value);
    });
    (least, most)
}

/// The mean of each column, and one over its deviation.
fn moments(images: &Images, columns: usize) -> (Vec<f32>, Vec<f32>) {
    let count = (images.pixels.len() / columns) as f64;
    let mut means = vec![0.0; columns];
    each_value(images, columns, |at, value| means[at] += f64::from(value) / count);
    let mut variances = vec![0.0; columns];
    each_value(images, columns, |at, value| variances[at] += (f64::from(value) - means[at]).powi(2) / count);
    let factor = |variance: &f64| if *variance > 0.0 { (1.0 / variance.sqrt()) as f32 } else { 1.0 };
    (means.iter().map(|&mean| mean as f32).collect(), variances.iter().map(factor).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageSize;

    fn data(pixels: Values, table: bool) -> Dataset {
        let images = Images { size: ImageSize::grey(1, 2), labels: vec![0; pixels.len() / 2], pixels };
        Dataset { table, ..Dataset::new("x", images.clone(), images) }
    }

    fn scaled(scale: Scale, pixels: Values, table: bool) -> (Vec<f32>, Scaling) {
        let data = data(pixels, table);
        let scaling = Scaling::fit(scale, &data).unwrap();
        let data = scaling.clone().apply(data);
        let Values::Reals(reals) = data.train.pixels else { panic!("scaled values are reals") };
        (reals, scaling)
    }

    #[test]
    fn columns_of_tables_are_scaled_apart() {
        let pixels = || Values::Reals(vec![0.0, 10.0, 2.0, 30.0]);
        assert_eq!(scaled(Scale::Minmax, pixels(), true).0, [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(scaled(Scale::Minmax, pixels(), false).0, [0.0, 10.0 / 30.0, 2.0 / 30.0, 1.0]);
        assert_eq!(scaled(Scale::Standard, pixels(), true).0, [-1.0, -1.0, 1.0, 1.0]);
        assert_eq!(scaled(Scale::Minmax, Values::Reals(vec![7.0; 4]), true).0, [0.0; 4]);
    }

    #[test]
    fn what_is_scaled_comes_back() {
        let bytes = Values::Bytes(vec![0, 51, 255, 10]);
        assert_eq!(scaled(Scale::None, bytes.clone(), false).0, [0.0, 51.0, 255.0, 10.0]);
        for scale in [Scale::Minmax, Scale::Standard] {
            let (mut values, scaling) = scaled(scale, bytes.clone(), true);
            assert!(scaling.fits(2) && !scaling.fits(3));
            scaling.undo(&mut values);
            let wanted = [0.0, 51.0, 255.0, 10.0];
            assert!(values.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-4), "{values:?}");
        }
    }

    #[test]
    fn what_stays_is_not_touched() {
        let bytes = || data(Values::Bytes(vec![0, 255]), false);
        let reals = || data(Values::Reals(vec![0.0, 255.0]), false);
        assert!(Scaling::fit(Scale::Auto, &bytes()).is_none() && Scaling::fit(Scale::Auto, &reals()).is_none());
        assert!(Scaling::fit(Scale::By255, &bytes()).is_none() && Scaling::fit(Scale::None, &reals()).is_none());
        assert!(Scaling::fit(Scale::By255, &reals()).is_some() && Scaling::fit(Scale::None, &bytes()).is_some());
    }
}
