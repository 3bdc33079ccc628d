//! Data sets made up from random numbers: for measuring speed at any size, and for tests that need no file.

use rayon::prelude::*;

use super::numbers::Numbers;
use super::raw::Raw;
use super::reading::{Found, Set};
use super::{DataSource, Dataset, ImageSize, Images, Values};
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
    pub(super) const ALL: [Synthetic; 2] = [Synthetic::Uniform, Synthetic::Normal];

    pub(super) fn name(self) -> &'static str {
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
    /// pixels; they have no labels.
    ///
    /// ```
    /// use vae_gpu::data::{Dataset, Synthetic};
    /// let data = Dataset::synthetic(Synthetic::Uniform, 10, 16, 7);
    /// assert_eq!((data.train.count(), data.test.count(), data.train.size.height), (10, 10, 4));
    /// ```
    pub fn synthetic(kind: Synthetic, count: usize, features: usize, seed: u32) -> Dataset {
        let size = ImageSize::of_features(features);
        let name = DataSource::Synthetic { kind, count, features }.to_string();
        let [train, test] = kind.sets(count, features, seed).map(|reals| Images::new(size, Values::Reals(reals)));
        Dataset::new(name, train, test)
    }
}

impl Dataset {
    /// Made-up images of bytes: `count` training images of this size, and as many test images, each value uniform.
    pub fn noise(size: ImageSize, count: usize) -> Dataset {
        let bytes = |real: f32| (256.0 * real) as u8;
        let sets = Synthetic::Uniform.sets(count, size.features(), 0);
        let [train, test] = sets.map(|reals| Images::new(size, Values::Bytes(reals.into_iter().map(bytes).collect())));
        Dataset::new(format!("noise of {size}"), train, test)
    }
}

impl Synthetic {
    /// As a reader of files finds it.
    pub(super) fn found(self, count: usize, features: usize, seed: u32) -> Found {
        let size = ImageSize::of_features(features);
        let [train, test] = self.sets(count, features, seed).map(|reals| Raw::numbers(size, Numbers::Floats(reals)));
        let name = DataSource::Synthetic { kind: self, count, features }.to_string();
        Found { name, sets: vec![(Set::Train, train), (Set::Test, test)], table: false, notes: Vec::new() }
    }

    /// The values of both sets, `[count, features]` each.
    fn sets(self, count: usize, features: usize, seed: u32) -> [Vec<f32>; 2] {
        let draw = Draw { seed, stream: Stream::Synthetic, step: 0 };
        [0, count].map(|first| {
            let mut reals = vec![0.0; count * features];
            reals.par_chunks_mut(features.max(1)).enumerate().for_each(|(i, row)| {
                let example = (first + i) as u32;
                match self {
                    Synthetic::Uniform => draw.uniforms(example, row),
                    Synthetic::Normal => draw.normals(example, row),
                }
            });
            reals
        })
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
        assert_eq!((data.name.as_str(), data.train.size), ("uniform:3x7", ImageSize::grey(1, 7)));
        assert_eq!((data.train.labels.as_slice(), data.test.count()), (&[None; 3][..], 3));
        assert_eq!(reals(&data.train)[2 * 7 + 6], draw.uniform(2, 6));
        assert_eq!(reals(&data.test)[7], draw.uniform(4, 0));
        let data = Dataset::synthetic(Synthetic::Normal, 2, 9, 5);
        assert_eq!((data.name.as_str(), data.train.size), ("normal:2x9", ImageSize::grey(3, 3)));
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
}
