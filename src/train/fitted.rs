//! What was fitted to a model's codes, to draw latents from: a density, or a model of codes.

use std::path::{Path, PathBuf};

use super::flow::CodeFlow;
use super::generate::LatentSource;
use super::observer::Observer;
use super::second_stage::SecondStage;
use crate::density::{Density, DensityKind};
use crate::error::{Error, Result};
use crate::rng::Draw;

/// Codes of images, and what these are conditioned on.
#[derive(Clone, Copy, Debug)]
pub struct CodeSet<'c> {
    /// `[count, latent]`.
    pub codes: &'c [f32],
    /// Dimensions of a code.
    pub latent: usize,
    /// `[count, width]`, as the model reads them; empty where it has no condition.
    pub conditions: &'c [f32],
}

/// Of codes that a model of them is trained on, one of so many is held out.
const HELD_OUT: usize = 20;

impl<'c> CodeSet<'c> {
    /// Codes of a model without a condition.
    pub fn new(codes: &'c [f32], latent: usize) -> CodeSet<'c> {
        CodeSet { codes, latent, conditions: &[] }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.codes.len() / self.latent
    }

    /// Values of a condition; 0 where there is none.
    pub fn condition(&self) -> usize {
        self.conditions.len() / self.count().max(1)
    }

    /// Those that are held out, which come first, and those that a model of codes is trained on.
    ///
    /// # Errors
    /// [`Error::Usage`] for fewer than two codes, [`Error::NonFinite`] where one is not finite.
    pub(super) fn split(self, what: &str) -> Result<[CodeSet<'c>; 2]> {
        let count = self.count();
        if count < 2 {
            return Err(Error::Usage(format!("{what} of {count} codes: there must be two or more")));
        }
        if let Some(at) = self.codes.iter().position(|value| !value.is_finite()) {
            return Err(Error::NonFinite(format!("the code of image {} holds {}", at / self.latent, self.codes[at])));
        }
        let apart = (count / HELD_OUT).max(1);
        let (codes, conditions) =
            (self.codes.split_at(apart * self.latent), self.conditions.split_at(apart * self.condition()));
        let part = |codes, conditions| CodeSet { codes, conditions, ..self };
        Ok([part(codes.0, conditions.0), part(codes.1, conditions.1)])
    }
}

/// A source of latents that was fitted to codes.
#[derive(Clone, Debug, PartialEq)]
pub enum Fitted {
    /// A Gaussian, or a mixture of them.
    Density(Density),
    /// A masked autoregressive flow.
    Flow(CodeFlow),
    /// A VAE of the codes.
    SecondStage(Box<SecondStage>),
}

impl Fitted {
    /// The file beside a checkpoint.
    pub fn path(checkpoint: &Path, source: LatentSource) -> PathBuf {
        checkpoint.with_extension(format!("{}.safetensors", source.name()))
    }

    /// Fits it to codes of the model that `of` tells from others; the observer hears of one that is trained. Those that are models
    /// themselves have the codes' condition.
    ///
    /// # Errors
    /// Those of [`Density::fit`], [`CodeFlow::train`] and [`SecondStage::train`]; [`Error::Usage`] for the prior, which is not fitted.
    pub fn fit(
        source: LatentSource,
        codes: &CodeSet<'_>,
        seed: u32,
        of: &str,
        observer: &mut dyn Observer,
    ) -> Result<Fitted> {
        let density = |kind| Density::fit(kind, codes.codes, codes.latent, seed).map(Fitted::Density);
        match source {
            LatentSource::Prior => Err(not_fitted()),
            LatentSource::Gaussian => density(DensityKind::Gaussian),
            LatentSource::Mixture => density(DensityKind::Mixture),
            LatentSource::Flow => CodeFlow::train(codes, seed, observer).map(Fitted::Flow),
            LatentSource::SecondStage => {
                SecondStage::train(codes, seed, of, observer).map(|stage| Fitted::SecondStage(Box::new(stage)))
            }
        }
    }

    /// Reads a file; none where it is of other codes than `of`.
    ///
    /// # Errors
    /// Those of [`Density::load`], [`CodeFlow::load`] and [`SecondStage::load`]; [`Error::Usage`] for the prior, which is not fitted.
    pub fn load(path: &Path, source: LatentSource, of: &str) -> Result<Option<Fitted>> {
        match source {
            LatentSource::Prior => Err(not_fitted()),
            LatentSource::Gaussian | LatentSource::Mixture => {
                Density::load(path, of).map(|density| density.map(Fitted::Density))
            }
            LatentSource::Flow => Ok(CodeFlow::load(path, of)?.map(Fitted::Flow)),
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
            Fitted::Flow(flow) => flow.save(path, of),
            Fitted::SecondStage(stage) => stage.save(path),
        }
    }

    /// The density, where it is one.
    pub fn density(&self) -> Option<&Density> {
        match self {
            Fitted::Density(density) => Some(density),
            Fitted::Flow(_) | Fitted::SecondStage(_) => None,
        }
    }

    /// Dimensions of a code.
    pub fn latent(&self) -> usize {
        match self {
            Fitted::Density(density) => density.latent(),
            Fitted::Flow(flow) => flow.latent(),
            Fitted::SecondStage(stage) => stage.latent(),
        }
    }

    /// Values of the condition that its draws have; 0 where they have none.
    pub fn condition(&self) -> usize {
        match self {
            Fitted::Density(_) => 0,
            Fitted::Flow(flow) => flow.condition(),
            Fitted::SecondStage(stage) => stage.condition(),
        }
    }

    /// The first `count` draws of a seed, `[count, latent]`, each of its condition, `[count, width]`: draw `i` depends on the seed, `i`
    /// and that alone. A density knows no condition.
    ///
    /// # Errors
    /// [`Error::Usage`] where the conditions are not as many.
    pub fn draw(&self, count: usize, conditions: &[f32], seed: u32) -> Result<Vec<f32>> {
        match self {
            Fitted::Density(density) => Ok(density.draw(count, seed)),
            Fitted::Flow(flow) => flow.draw(count, conditions, seed),
            Fitted::SecondStage(stage) => stage.draw(count, conditions, seed),
        }
    }

    /// The log-density of each code, given its condition, in nats; of a second stage by importance sampling.
    ///
    /// # Errors
    /// [`Error::NonFinite`] where that of a model is not finite.
    pub fn log_likelihood(&self, codes: &CodeSet<'_>) -> Result<Vec<f64>> {
        match self {
            Fitted::Density(density) => Ok(density.log_likelihood(codes.codes)),
            Fitted::Flow(flow) => flow.log_likelihood(codes),
            Fitted::SecondStage(stage) => stage.log_likelihood(codes),
        }
    }
}

/// Adds noise of one deviation to codes `[count, latent]`: that of code `i` is a draw's example `i`.
pub(super) fn add_noise(codes: &mut [f32], latent: usize, deviation: f32, draw: Draw) {
    let mut eps = vec![0.0; latent];
    for (code, i) in codes.chunks_mut(latent).zip(0..) {
        draw.normals(i, &mut eps);
        code.iter_mut().zip(&eps).for_each(|(z, eps)| *z += deviation * eps);
    }
}

fn not_fitted() -> Error {
    Error::Usage("the prior is the model's own, and not fitted to codes".to_owned())
}
