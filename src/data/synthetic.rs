//! Data sets made up from random numbers: for measuring speed at any size, and for tests that need no file.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use rayon::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Dataset, Images, Values};
use crate::error::{Error, Result};
use crate::rng::{Draw, Stream};

/// What made-up values are drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synthetic {
    /// Uniform in [0, 1).
    Uniform,
    /// Standard normal.
    Normal,
}

impl Synthetic {
    const ALL: [Synthetic; 2] = [Synthetic::Uniform, Synthetic::Normal];

    fn name(self) -> &'static str {
        match self {
            Synthetic::Uniform => "uniform",
            Synthetic::Normal => "normal",
        }
    }
}

impl Dataset {
    /// A made-up data set of reals: `count` training examples of `features` values, and as many test examples.
    ///
    /// Value `e` of training example `i` is the draw of example `i`, element `e` of [`Stream::Synthetic`] at step 0; test
    /// example `i` is example `count + i`. Its images are square where `features` is a square number, else one row of
    /// pixels; every label is 0.
    ///
    /// ```
    /// use vae_gpu::data::{Dataset, Synthetic};
    /// let data = Dataset::synthetic(Synthetic::Uniform, 10, 16, 7);
    /// assert_eq!((data.train.count(), data.test.count(), data.train.height), (10, 10, 4));
    /// ```
    pub fn synthetic(kind: Synthetic, count: usize, features: usize, seed: u32) -> Dataset {
        let draw = Draw { seed, stream: Stream::Synthetic, step: 0 };
        let side = features.isqrt();
        let (height, width) = if side * side == features { (side, side) } else { (1, features) };
        let images = |first: usize| {
            let mut reals = vec![0.0; count * features];
            reals.par_chunks_mut(features.max(1)).enumerate().for_each(|(i, row)| {
                let example = (first + i) as u32;
                match kind {
                    Synthetic::Uniform => draw.uniforms(example, row),
                    Synthetic::Normal => draw.normals(example, row),
                }
            });
            Images { height, width, pixels: Values::Reals(reals), labels: vec![0; count] }
        };
        let name = DataSource::Synthetic { kind, count, features }.to_string();
        Dataset { name, train: images(0), test: images(count) }
    }
}

/// Where a data set comes from; as text "uniform:NxD", "normal:NxD" (N examples of D values), or a folder's path.
///
/// A folder whose name begins like a made-up set is named with its path: `./uniform:1x1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataSource {
    /// A folder with files that [`Dataset::from_idx_dir`] reads.
    Folder(PathBuf),
    /// [`Dataset::synthetic`].
    Synthetic {
        /// What its values are drawn from.
        kind: Synthetic,
        /// Training examples, and as many test examples.
        count: usize,
        /// Values an example.
        features: usize,
    },
}

/// Values of a made-up training set at most: 1 GiB as f32.
const MOST_VALUES: usize = 1 << 28;

impl FromStr for DataSource {
    type Err = Error;
    fn from_str(text: &str) -> Result<DataSource> {
        let made_up = text.split_once(':').and_then(|(name, size)| {
            let kind = Synthetic::ALL.into_iter().find(|kind| kind.name() == name)?;
            Some((kind, size))
        });
        let Some((kind, size)) = made_up else {
            return Ok(DataSource::Folder(PathBuf::from(text)));
        };
        let number = |text: &str| text.parse().ok().filter(|&number: &usize| number >= 1);
        let sizes = size.split_once('x').and_then(|(count, features)| Some((number(count)?, number(features)?)));
        match sizes {
            Some((count, features)) if count.checked_mul(features).is_some_and(|values| values <= MOST_VALUES) => {
                Ok(DataSource::Synthetic { kind, count, features })
            }
            _ => Err(Error::Usage(format!(
                "the data {text} must be {}:NxD: N examples of D values, both from 1 on, N times D at most {MOST_VALUES}; \
                 or the path of a folder",
                kind.name()
            ))),
        }
    }
}

impl fmt::Display for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataSource::Folder(path) => write!(f, "{}", path.display()),
            DataSource::Synthetic { kind, count, features } => write!(f, "{}:{count}x{features}", kind.name()),
        }
    }
}

impl Serialize for DataSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            // Fails where the path is no text, rather than writing another.
            DataSource::Folder(path) => path.serialize(serializer),
            DataSource::Synthetic { .. } => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for DataSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<DataSource, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reals(images: &Images) -> &[f32] {
        let Values::Reals(reals) = &images.pixels else { panic!("made-up values are reals") };
        reals
    }

    #[test]
    fn values_are_the_streams_draws_and_test_examples_follow_the_training_examples() {
        let draw = Draw { seed: 5, stream: Stream::Synthetic, step: 0 };
        let data = Dataset::synthetic(Synthetic::Uniform, 3, 7, 5);
        assert_eq!((data.name.as_str(), data.train.height, data.train.width), ("uniform:3x7", 1, 7));
        assert_eq!((data.train.labels.as_slice(), data.test.count()), (&[0; 3][..], 3));
        assert_eq!(reals(&data.train)[2 * 7 + 6], draw.uniform(2, 6));
        assert_eq!(reals(&data.test)[7], draw.uniform(4, 0));
        let data = Dataset::synthetic(Synthetic::Normal, 2, 9, 5);
        assert_eq!((data.name.as_str(), data.train.height, data.train.width), ("normal:2x9", 3, 3));
        assert_eq!(reals(&data.test)[8], draw.normal(2, 8));
    }

    #[test]
    fn moments_are_those_of_the_distribution() {
        for (kind, mean, variance) in [(Synthetic::Uniform, 0.5, 1.0 / 12.0), (Synthetic::Normal, 0.0, 1.0)] {
            let data = Dataset::synthetic(kind, 1000, 100, 1);
            let values = reals(&data.train);
            let count = values.len() as f64;
            let m = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
            let v = values.iter().map(|&v| (f64::from(v) - m).powi(2)).sum::<f64>() / count;
            // Five standard errors of 10^5 draws.
            assert!((m - mean).abs() < 5.0 * (variance / count).sqrt(), "{kind:?}: mean {m}");
            assert!((v - variance).abs() < 5.0 * variance * (2.0 / count).sqrt(), "{kind:?}: variance {v}");
        }
    }

    #[test]
    fn sources_survive_text_and_malformed_ones_are_refused() {
        let made_up = DataSource::Synthetic { kind: Synthetic::Uniform, count: 1000, features: 784 };
        assert_eq!("uniform:1000x784".parse::<DataSource>().unwrap(), made_up);
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Holder {
            data: DataSource,
        }
        for text in ["uniform:1000x784", "normal:1x268435456", "/data/mnist", "uniform", "./uniform:1", "C:\\mnist"] {
            let data: DataSource = text.parse().unwrap();
            assert_eq!(data.to_string(), text);
            let held = Holder { data };
            assert_eq!(toml::from_str::<Holder>(&toml::to_string(&held).unwrap()).unwrap(), held);
        }
        for text in
            ["uniform:", "uniform:3", "normal:0x4", "normal:4x0", "uniform:3x4x5", "normal:-1x3", "normal:1x268435457"]
        {
            let message = text.parse::<DataSource>().unwrap_err().to_string();
            assert!(message.contains(text) && message.contains(":NxD") && message.contains("268435456"), "{message}");
        }
        assert!(toml::from_str::<Holder>("data = \"uniform:x\"").is_err());
        assert!(format!("uniform:{}x2", usize::MAX).parse::<DataSource>().is_err());
    }
}
