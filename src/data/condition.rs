//! Conditions: what a conditional model is given of an example besides its image. They lie with the images, in the form in which a
//! device holds them.

use serde::{Deserialize, Serialize};

use super::assemble::{Part, noun};
use super::notes::digits;
use super::{Images, Values};
use crate::error::{Error, Result};

/// What examples are conditioned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// The label as a class
    Label,
    /// The label as a number, of which a model reads (number - mean) / deviation
    Number,
}

/// The numbers that a model was conditioned on in training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Moments {
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation; 1 where all are one number.
    pub deviation: f64,
    /// The least and the largest of them.
    pub range: [f64; 2],
}

impl Moments {
    fn of(numbers: &[f64]) -> Moments {
        let n = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / n;
        let deviation = (numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / n).sqrt();
        let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Moments { mean, deviation: if deviation > 0.0 { deviation } else { 1.0 }, range: [least, largest] }
    }

    /// A number as a model reads it.
    pub fn standardised(&self, number: f64) -> f32 {
        ((number - self.mean) / self.deviation) as f32
    }

    /// Whether all are finite, the deviation above 0, and the range in order.
    pub(super) fn are_whole(&self) -> bool {
        let [least, largest] = self.range;
        let finite = [self.mean, self.deviation, least, largest].iter().all(|number| number.is_finite());
        finite && self.deviation > 0.0 && least <= largest
    }
}

/// The classes of a set as unit vectors, 255 for 1: `[count, classes]`.
///
/// # Errors
/// [`Error::Format`] that names the first example whose class is not one of them.
pub(super) fn classes(part: &Part, labels: &[Option<u32>], classes: usize) -> Result<Values> {
    unit_vectors(labels, classes).map_err(|at| without(part, at, "label", "of a class that was trained on"))
}

/// Classes as unit vectors; or the first example whose class is not one of them.
fn unit_vectors(labels: &[Option<u32>], classes: usize) -> Result<Values, usize> {
    let mut bytes = vec![0; labels.len() * classes];
    for (at, label) in labels.iter().enumerate() {
        let class = label.map(|label| label as usize).filter(|class| *class < classes).ok_or(at)?;
        bytes[at * classes + class] = 255;
    }
    Ok(Values::Bytes(bytes))
}

/// The labels of a set as numbers.
///
/// # Errors
/// [`Error::Format`] that names the first example whose label is no finite number.
pub(super) fn numbers(part: &Part) -> Result<Vec<f64>> {
    let numbers = part.raw.labels.numbers(part.raw.count());
    match numbers.iter().position(|number| !number.is_finite()) {
        Some(at) => Err(without(part, at, "number", "a finite one")),
        None => Ok(numbers),
    }
}

/// What a model is conditioned on, of the numbers of each set: the moments are those of the first, if none are known.
///
/// # Errors
/// As [`numbers`].
pub(super) fn standardised(
    parts: &[Part],
    known: Option<Moments>,
    notes: &mut Vec<String>,
) -> Result<(Vec<Values>, Moments)> {
    let all: Vec<Vec<f64>> = parts.iter().map(numbers).collect::<Result<_>>()?;
    let moments = known.unwrap_or_else(|| Moments::of(&all[0]));
    let [least, largest] = moments.range;
    if known.is_none() {
        let [mean, deviation] = [moments.mean, moments.deviation].map(digits);
        notes.push(format!(
            "the condition is (number - {mean}) / {deviation}, of numbers from {} to {}",
            digits(least),
            digits(largest)
        ));
    }
    let outside = all.iter().flatten().filter(|number| !(least..=largest).contains(number)).count();
    if outside > 0 {
        notes.push(format!(
            "{outside} numbers that are conditioned on lie outside those of the training set, {} to {}",
            digits(least),
            digits(largest)
        ));
    }
    let values = |numbers: Vec<f64>| Values::Reals(numbers.into_iter().map(|x| moments.standardised(x)).collect());
    Ok((all.into_iter().map(values).collect(), moments))
}

fn without(part: &Part, at: usize, lacks: &str, wanted: &str) -> Error {
    let name = part.raw.names.get(at).map_or(String::new(), |name| format!(" ({name})"));
    let what = noun(part.set);
    Error::format(
        &part.path,
        format!("{what} {at}{name} has no {lacks} to condition on: with --condition each must have one, {wanted}"),
    )
}

impl Images {
    /// The images, conditioned on their labels as classes, of which there are so many.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the first image whose label is not one of them.
    pub fn conditioned_on_classes(self, classes: usize) -> Result<Images> {
        match unit_vectors(&self.labels, classes) {
            Ok(condition) => Ok(Images { condition: Some(condition), ..self }),
            Err(at) => Err(Error::Usage(format!("image {at} has no label below {classes} to condition on"))),
        }
    }

    /// The conditions of the images, as a model reads them: `[range, width]`; empty where they have none.
    ///
    /// # Panics
    /// If the range does not lie within the images.
    pub fn conditions(&self, range: std::ops::Range<usize>) -> Vec<f32> {
        let Some(condition) = &self.condition else { return Vec::new() };
        let width = condition.len() / self.count().max(1);
        let values = range.start * width..range.end * width;
        match condition {
            Values::Bytes(bytes) => bytes[values].iter().map(|&byte| f32::from(byte) * (1.0 / 255.0)).collect(),
            Values::Reals(reals) => reals[values].to_vec(),
            Values::Stored(_) => unreachable!("conditions are in memory"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ImageSize;
    use super::*;

    #[test]
    fn classes_are_unit_vectors() {
        let three = Images::new(ImageSize::grey(1, 1), Values::Bytes(vec![1, 2, 3]));
        let labelled = Images { labels: vec![Some(1), Some(0), Some(2)], ..three.clone() };
        let images = labelled.conditioned_on_classes(3).unwrap();
        assert_eq!(images.conditions(0..2), [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(images.select(&[2]).conditions(0..1), [0.0, 0.0, 1.0]);
        let twice = Images::joined(vec![images.clone().take_first(1), images.clone()]);
        assert_eq!(twice.conditions(1..3), images.conditions(0..2));
        assert!(three.conditions(0..3).is_empty());
        let error = images.conditioned_on_classes(2).unwrap_err();
        assert!(error.to_string().starts_with("image 2 has no label below 2"), "{error}");
        assert!(three.conditioned_on_classes(1).is_err());
    }

    #[test]
    fn moments_are_those_of_the_numbers() {
        let moments = Moments::of(&[1.0, 5.0, 3.0, 3.0]);
        assert_eq!(moments, Moments { mean: 3.0, deviation: 2.0_f64.sqrt(), range: [1.0, 5.0] });
        assert_eq!(moments.standardised(3.0), 0.0);
        assert_eq!(Moments::of(&[7.0, 7.0]).standardised(8.0), 1.0);
        assert!(moments.are_whole());
        assert!(!Moments { deviation: 0.0, ..moments }.are_whole());
        assert!(!Moments { range: [2.0, 1.0], ..moments }.are_whole());
    }
}
