//! What a trained model knows of its data, kept in the checkpoint: later data are read by it.

use serde::{Deserialize, Serialize};

use super::{ImageSize, Moments, Scaling};

/// The form of a data set's examples, and what their numbers mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Schema {
    /// Rows, columns and channels of an example.
    pub size: ImageSize,
    /// The number that counts as 1 where nothing is scaled: 255 of bytes, 65,535 of pixels of 16 bits; none of numbers that
    /// are what they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub white: Option<f64>,
    /// The least and the largest number of the training set, as the source has them.
    pub range: [f64; 2],
    /// What is done to the numbers, if it is not white alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
    /// The names of the classes by number; empty where examples have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// The numbers that examples are conditioned on, where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Moments>,
    /// The names of a table's columns; empty where they have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

impl Schema {
    /// Of values in [0, 1], or of bytes.
    pub fn new(size: ImageSize, bytes: bool) -> Schema {
        let (white, most) = if bytes { (Some(255.0), 255.0) } else { (None, 1.0) };
        Schema {
            size,
            white,
            range: [0.0, most],
            scaling: None,
            classes: Vec::new(),
            number: None,
            columns: Vec::new(),
        }
    }

    /// Whether it is one of examples of this height, width and channels.
    ///
    /// # Errors
    /// What does not fit.
    pub(crate) fn check(&self, image: [usize; 3]) -> Result<(), String> {
        let features = self.size.checked_features().unwrap_or(0);
        if self.size.extents() != image || features == 0 || self.size.channels > ImageSize::MOST_CHANNELS {
            return Err(format!("images of {} are not its model's, of {image:?}", self.size));
        }
        if self.scaling.as_ref().is_some_and(|scaling| !scaling.fits(features)) {
            return Err(format!("its scaling does not fit images of {features} values"));
        }
        if self.white.is_some_and(|white| !white.is_finite() || white <= 0.0)
            || !self.range.iter().all(|end| end.is_finite())
        {
            return Err("its white or its range is no number".to_owned());
        }
        if self.number.is_some_and(|number| !number.are_whole()) {
            return Err("the numbers that it is conditioned on have no finite mean, deviation or range".to_owned());
        }
        if !self.columns.is_empty() && self.columns.len() != features {
            return Err(format!("it names {} columns of {features} values", self.columns.len()));
        }
        Ok(())
    }

    /// A value of column `at` as the model has it, not clipped.
    pub(super) fn value(&self, at: usize, number: f64) -> f64 {
        match (&self.scaling, self.white) {
            (Some(scaling), _) => scaling.scaled(at, number),
            (None, Some(white)) => number / white,
            (None, None) => number,
        }
    }
}

/// How many examples a data set has, and a checksum of their values: what tells it from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Fingerprint {
    /// Training examples.
    pub train: u64,
    /// Validation examples.
    pub validation: u64,
    /// Test examples.
    pub test: u64,
    /// CRC-32 of all values, set by set.
    pub crc32: u32,
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} training", self.train)?;
        if self.validation > 0 {
            write!(f, ", {} validation", self.validation)?;
        }
        write!(f, " and {} test examples, crc32 {:08x}", self.test, self.crc32)
    }
}
