//! What was fitted to a model's codes, to draw latents from: a density, or a model of codes.

use std::path::{Path, PathBuf};

use super::generate::LatentSource;
use super::observer::Observer;
use super::second_stage::SecondStage;
use crate::density::{Density, DensityKind};
use crate::error::{Error, Result};

/// A source of latents that was fitted to codes.
#[derive(Clone, Debug, PartialEq)]
pub enum Fitted {
    /// A Gaussian, or a mixture of them.
    Density(Density),
    /// A VAE of the codes.
    SecondStage(Box<SecondStage>),
}

impl Fitted {
    /// The file beside a checkpoint.
    pub fn path(checkpoint: &Path, source: LatentSource) -> PathBuf {
        checkpoint.with_extension(format!("{}.safetensors", source.name()))
    }

    /// Fits it to `codes` `[n, latent]` of the model that `of` tells from others; the observer hears of one that is trained.
    ///
    /// # Errors
    /// Those of [`Density::fit`] and [`SecondStage::train`]; [`Error::Usage`] for the prior, which is not fitted.
    pub fn fit(
        source: LatentSource,
        codes: &[f32],
        latent: usize,
        seed: u32,
        of: &str,
        observer: &mut dyn Observer,
    ) -> Result<Fitted> {
        let density = |kind| Density::fit(kind, codes, latent, seed).map(Fitted::Density);
        match source {
            LatentSource::Prior => Err(not_fitted()),
            LatentSource::Gaussian => density(DensityKind::Gaussian),
            LatentSource::Mixture => density(DensityKind::Mixture),
            LatentSource::SecondStage => {
                SecondStage::train(codes, latent, seed, of, observer).map(|stage| Fitted::SecondStage(Box::new(stage)))
            }
        }
    }

    /// Reads a file; none where it is of other codes than `of`.
    ///
    /// # Errors
    /// Those of [`Density::load`] and [`SecondStage::load`]; [`Error::Usage`] for the prior, which is not fitted.
    pub fn load(path: &Path, source: LatentSource, of: &str) -> Result<Option<Fitted>> {
        match source {
            LatentSource::Prior => Err(not_fitted()),
            LatentSource::Gaussian | LatentSource::Mixture => {
                Density::load(path, of).map(|density| density.map(Fitted::Density))
            }
            LatentSource::SecondStage => {
                Ok(SecondStage::load(path, of)?.map(|stage| Fitted::SecondStage(Box::new(stage))))
            }
        }
    }

    /// Writes the file in one step.
    ///
    /// # Errors
    /// [`Error::Io`] where it can't be written.
    pub fn save(&self, path: &Path, of: &str) -> Result<()> {
        match self {
            Fitted::Density(density) => density.save(path, of),
            Fitted::SecondStage(stage) => stage.save(path),
        }
    }

    /// Dimensions of a code.
    pub fn latent(&self) -> usize {
        match self {
            Fitted::Density(density) => density.latent(),
            Fitted::SecondStage(stage) => stage.latent(),
        }
    }

    /// The first `count` draws of a seed, `[count, latent]`: draw `i` depends on the seed and `i` alone.
    ///
    /// # Errors
    /// None of one that fits itself.
    pub fn draw(&self, count: usize, seed: u32) -> Result<Vec<f32>> {
        match self {
            Fitted::Density(density) => Ok(density.draw(count, seed)),
            Fitted::SecondStage(stage) => stage.draw(count, seed),
        }
    }

    /// The log-density of each of `codes` `[n, latent]`, in nats; of a model of codes by importance sampling.
    ///
    /// # Errors
    /// [`Error::NonFinite`] where that of a model is not finite.
    pub fn log_likelihood(&self, codes: &[f32]) -> Result<Vec<f64>> {
        match self {
            Fitted::Density(density) => Ok(density.log_likelihood(codes)),
            Fitted::SecondStage(stage) => stage.log_likelihood(codes),
        }
    }
}

fn not_fitted() -> Error {
    Error::Usage("the prior is the model's own, and not fitted to codes".to_owned())
}
