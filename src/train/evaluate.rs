//! Evaluation of a trained model on a test set: ELBO, importance-sampled log-likelihood, active units.

use serde::Serialize;

use super::aggregate::{self, SourceFit};
use super::data_loader::{DataLoader, First};
use super::density::{draws, posteriors};
use super::doctor;
use super::fitted::{CodeSet, Fitted};
use super::generate::{LatentSource, Reconstructor};
use super::importance::IMPORTANCE_ROWS;
use super::metrics::Terms;
use super::prior;
use super::queue::Queue;
use super::schedule::evaluation_steps;
use super::{Losses, ModelInput};
use crate::backend::{Device, Session};
use crate::config::TrainConfig;
use crate::data::Images;
use crate::error::{Error, Result};
use crate::graph::PARAMETERS;
use crate::models::{Capability, Loss, Model, Prior};
use crate::ops::Order;
use crate::plan::{Options, compile};
use crate::ranks::Ranks;
use crate::step::Step;

/// Images that are evaluated at a time; their draws do not depend on it.
pub(super) const ROWS: usize = 100;
/// A latent dimension is active where the variance of its posterior mean over images is above this (Burda et al. 2016,
/// section 5.2).
const ACTIVE: f64 = 0.01;

/// Means over test images, in nats an image where not said otherwise; `None` where the model has no such figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// The model's name.
    pub model: &'static str,
    /// Images evaluated.
    pub images: usize,
    /// The training loss.
    pub loss: f64,
    /// The evidence lower bound, one posterior draw an image (k draws for `iwae`); higher is better.
    pub elbo: Option<f64>,
    /// The reconstruction term: a sum of squares for mse, else nats.
    pub reconstruction: f64,
    /// Divergence of the posterior from the prior.
    pub kl: Option<f64>,
    /// Importance-sampled log-likelihood; higher is better.
    pub log_likelihood: Option<f64>,
    /// Standard error of its mean over images.
    pub log_likelihood_error: Option<f64>,
    /// Posterior samples an image behind it.
    pub samples: Option<usize>,
    /// Bits per dimension, `nats / (values ln 2)`, where the loss is a probability of levels: of the log-likelihood, or where there is
    /// none of the bound; lower is better.
    pub bits_per_dimension: Option<f64>,
    /// Latent dimensions that vary with the image.
    pub active_units: usize,
    /// Latent dimensions.
    pub latent: usize,
    /// Divergence of each latent dimension's posteriors from the prior; empty where a code has no noise.
    pub kl_by_dimension: Vec<f64>,
    /// Mean squared error a pixel of images decoded from their codes.
    pub mse: f64,
    /// How well sources of latents know the codes; none where no density was given.
    pub sources: Vec<SourceFit>,
    /// The nearest of them: `sample --from`.
    pub sample_from: Option<LatentSource>,
}

/// A model and the images to evaluate it on.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The model.
    pub model: &'a Model,
    /// Its parameter arena.
    pub parameters: &'a [f32],
    /// Seed and binarisation are read from it.
    pub config: &'a TrainConfig,
    /// The test images.
    pub images: &'a Images,
    /// Posterior samples an image of the log-likelihood; 0 leaves it out.
    pub samples: usize,
    /// Densities of training codes that are compared with the prior; none leave that out.
    pub densities: &'a [(LatentSource, Fitted)],
    /// Those that share losses and likelihoods, and all call this together: the same comes of it on each.
    pub ranks: &'a dyn Ranks,
}

impl Request<'_> {
    /// Evaluates on a device; `progress` hears how many images' log-likelihoods are done.
    ///
    /// # Errors
    /// [`Error::Usage`] for a model that has no bound, else what the device fails with.
    pub fn run(&self, device: &dyn Device, options: Options, mut progress: impl FnMut(usize)) -> Result<Evaluation> {
        let Request { model, config, images, .. } = *self;
        let kind = model.config().model;
        if !kind.has(Capability::Encoder) {
            let (name, others) = (kind.name(), Capability::Encoder.models());
            let reason = format!("{name} can't be evaluated: it has neither a bound nor codes; these can: {others}");
            return Err(Error::Usage(reason));
        }
        let limit = config.data_limit(device);
        let loader =
            |index: usize, rows: usize| DataLoader::new(images, index, rows.min(images.count()), Order::Stored, limit);
        let of_losses = loader(0, ROWS)?;
        // Whole images serve both; batches that are brought one by one have a place for each size.
        let apart = of_losses.is_streamed();
        let of_samples = loader(if apart { of_losses.next_index() } else { 0 }, IMPORTANCE_ROWS)?;
        let mut sets = of_losses.first();
        sets.extend(apart.then(|| of_samples.first()).into_iter().flatten());
        let sets: Vec<_> = sets.iter().map(First::data).collect();
        let mut session = device.session(model.layout(), &sets)?;
        let session = &mut *session;
        session.write_arena(PARAMETERS, self.parameters)?;
        let losses = self.losses(session, &of_losses, options)?;
        let &[loss, reconstruction, divergence] = &losses.values[..] else {
            unreachable!("a model with an encoder has three terms")
        };
        let variational = kind.has(Capability::Posterior);
        let normalised = model.config().loss.is_likelihood();
        let codes = posteriors(session, model, config, images, options)?;
        let kl_by_dimension = match model.config().prior {
            Prior::Normal => doctor::kl_by_dimension(&codes, model.config().latent),
            Prior::Vamp(_) => Vec::new(),
        };
        let mse = self.mse(session, options)?;
        let sources = match self.densities {
            [] => Vec::new(),
            densities => {
                let draws = draws(session, model, config, images, options)?;
                let learned = prior::learned(session, model, options)?;
                let conditions = images.conditions(0..images.count());
                let draws = CodeSet { codes: &draws, latent: model.config().latent, conditions: &conditions };
                aggregate::fits(model, &draws, learned.as_ref(), densities)?
            }
        };
        let likelihoods = match variational && normalised && self.samples > 0 {
            true => Some(self.log_likelihoods(session, &of_samples, options, &mut progress)?),
            false => None,
        };
        let not_finite = |all: &Vec<f64>| all.iter().position(|value| !value.is_finite()).map(|at| (at, all[at]));
        if let Some((at, value)) = likelihoods.as_ref().and_then(not_finite) {
            return Err(Error::NonFinite(format!("the log-likelihood of test image {at} is {value}")));
        }
        let (mean, error) = likelihoods.as_deref().map(mean_and_error).unzip();
        let elbo = (variational && normalised).then_some(-(reconstruction + divergence));
        let bits = |nats: f64| -nats / (images.features() as f64 * std::f64::consts::LN_2);
        let of_levels = model.config().loss == Loss::DiscretisedLogistic;
        Ok(Evaluation {
            model: kind.name(),
            images: images.count(),
            loss,
            elbo,
            reconstruction,
            kl: variational.then_some(divergence),
            log_likelihood: mean,
            log_likelihood_error: error,
            samples: mean.map(|_| self.samples),
            bits_per_dimension: mean.or(elbo).filter(|_| of_levels).map(bits),
            active_units: active_units(&codes.means, model.config().latent),
            latent: model.config().latent,
            kl_by_dimension,
            mse,
            sample_from: aggregate::nearest(&sources).map(|fit| fit.from),
            sources,
        })
    }

    fn losses(&self, session: &mut dyn Session, loader: &DataLoader<'_>, options: Options) -> Result<Losses> {
        let of = loader.batches(self.config.pixels());
        let plan = compile(&self.model.evaluation(&of)?, options)?;
        let terms = Terms::new(self.model, std::slice::from_ref(&plan));
        let program = session.load(plan)?;
        let steps = evaluation_steps(self.config, self.images.count() as u32, of.rows);
        let place = |step: &Step| format!("test images from {} on", step.first);
        Queue::default().mean((session, self.ranks), loader, program, &steps, &terms, place)
    }

    fn mse(&self, session: &mut dyn Session, options: Options) -> Result<f64> {
        let count = self.images.count();
        let reconstructor = Reconstructor::load(session, self.model, ROWS.min(count), options)?;
        let mut sum = 0.0;
        for first in (0..count).step_by(ROWS) {
            let range = first..count.min(first + ROWS);
            let shown = self.images.shown(range.clone(), self.config.binarise)?;
            let decoded = reconstructor.apply(session, &shown, &self.images.conditions(range))?;
            sum += shown.iter().zip(&decoded).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>();
        }
        Ok(sum / (count * self.images.features()) as f64)
    }
}

/// The mean, and its standard error.
pub(super) fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0).max(1.0) / n).sqrt())
}

/// Dimensions whose code varies over images: `[count, latent]`.
fn active_units(codes: &[f32], latent: usize) -> usize {
    let n = (codes.len() / latent) as f64;
    let of = |e: usize| codes.iter().skip(e).step_by(latent).map(|value| f64::from(*value));
    let variance = |e: usize| {
        let mean = of(e).sum::<f64>() / n;
        of(e).map(|value| (value - mean).powi(2)).sum::<f64>() / n
    };
    (0..latent).filter(|&e| variance(e) > ACTIVE).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_active_where_its_variance_is_above_a_hundredth() {
        let codes = [1.0, 0.05, 3.0, -1.0, -0.05, 3.0];
        assert_eq!(active_units(&codes, 3), 1);
    }

    #[test]
    fn the_error_is_that_of_a_mean() {
        let (mean, error) = mean_and_error(&[1.0, 3.0]);
        assert_eq!((mean, error), (2.0, 1.0));
    }
}
