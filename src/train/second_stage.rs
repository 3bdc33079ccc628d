//! The second stage of Dai and Wipf 2019, "Diagnosing and enhancing VAE models" (section 4): a small VAE of the first one's codes,
//! whose latents have as many dimensions. Drawn from it, codes lie where those of images do: `u ~ N(0, I)`, then `z ~ p(z | u)`.
//!
//! It is a model like any other, trained by the same loop on the CPU, and is kept as a checkpoint beside that of the first stage:
//! with the decoder's variance at its optimum there is nothing to tune.

use std::path::Path;

use super::evaluate::Request;
use super::fitted::{CodeSet, add_noise};
use super::generate::{LatentSource, Sampler};
use super::score::Measure;
use super::{Checkpoint, Observer, Trainer};
use crate::backend::Device;
use crate::backend::cpu::Cpu;
use crate::config::{BetaSchedule, TrainConfig};
use crate::data::{Condition, Dataset, ImageSize, Images, Moments, Scale, Schema, Values};
use crate::error::{Error, Result};
use crate::models::{Loss, Model, Output, Variance};
use crate::plan::Options;
use crate::ranks::Alone;
use crate::rng::{Draw, Stream};

/// Sizes of its hidden layers, and epochs.
const HIDDEN: [usize; 3] = [256; 3];
const EPOCHS: u64 = 40;
/// Epochs in which the KL term comes to its full weight.
const WARM_UP: u64 = 10;
/// Codes that are drawn at a time.
const ROWS: usize = 500;
/// Draws of the posterior a code of its log-likelihood.
const SAMPLES: usize = 100;

/// A trained second stage.
#[derive(Clone, Debug, PartialEq)]
pub struct SecondStage(Checkpoint);

impl SecondStage {
    /// Trains one on codes of the model that `of` tells from others; it has their condition.
    ///
    /// # Errors
    /// [`Error::Usage`] for fewer than two codes, [`Error::NonFinite`] where a code or a loss is not finite.
    pub fn train(codes: &CodeSet<'_>, seed: u32, of: &str, observer: &mut dyn Observer) -> Result<SecondStage> {
        let [test, train] = codes.split("a second stage")?;
        let latent = codes.latent;
        let mut data = Dataset::new("codes", images(&train), images(&test));
        let condition = condition_of(codes, &mut data.schema);
        let config = TrainConfig {
            hidden: Some(HIDDEN.to_vec()),
            latent,
            condition,
            loss: Loss::Gaussian,
            variance: Variance::Optimal,
            output: Output::Identity,
            // Without a penalty at first: codes vary alike in all directions, for which a model that says nothing of them is at rest.
            beta_schedule: BetaSchedule::Linear { epochs: WARM_UP },
            lr_schedule: "cosine".parse().map_err(Error::Usage)?,
            batch_size: TrainConfig::default().batch_size.min(train.count()),
            epochs: EPOCHS,
            scale: Scale::None,
            seed,
            ..TrainConfig::default()
        };
        let mut trainer = Trainer::new(&config, &data, &Cpu::<f32>::new(), Options::default(), None)?;
        while trainer.run_epoch(observer)?.is_some() {}
        let mut checkpoint = trainer.checkpoint()?;
        checkpoint.header.of = Some(of.to_owned());
        Ok(SecondStage(checkpoint))
    }

    /// Writes the file in one step.
    ///
    /// # Errors
    /// [`Error::Io`] where it can't be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        self.0.save(path)
    }

    /// Reads a file; none where it is of other codes than `of`.
    ///
    /// # Errors
    /// Those of [`Checkpoint::load`]; [`Error::Format`] where it is no second stage.
    pub fn load(path: &Path, of: &str) -> Result<Option<SecondStage>> {
        let checkpoint = Checkpoint::load(path)?;
        match &checkpoint.header.of {
            Some(found) if found == of => {}
            Some(_) => return Ok(None),
            None => return Err(Error::format(path, "it is a checkpoint, but no second stage of codes".to_owned())),
        }
        let model = &checkpoint.header.model;
        if model.loss != Loss::Gaussian {
            return Err(Error::format(path, "it is no model that codes can be drawn from".to_owned()));
        }
        LatentSource::Prior.check(&Model::new(model.clone())?)?;
        Ok(Some(SecondStage(checkpoint)))
    }

    /// Dimensions of a code.
    pub fn latent(&self) -> usize {
        self.0.header.model.features()
    }

    /// Values of a code's condition; 0 where there is none.
    pub fn condition(&self) -> usize {
        self.0.header.model.condition_width()
    }

    /// The first `count` codes of a seed, `[count, latent]`, each of its condition, `[count, width]`: code `i` depends on the seed, `i` and
    /// that alone.
    ///
    /// # Errors
    /// [`Error::Usage`] where the conditions are not as many.
    pub fn draw(&self, count: usize, conditions: &[f32], seed: u32) -> Result<Vec<f32>> {
        let model = Model::new(self.0.header.model.clone())?;
        let mut session = self.0.session(&Cpu::<f32>::new(), &model)?;
        let sampler = Sampler::load(&mut *session, &model, ROWS.min(count), LatentSource::Prior, Options::default())?;
        let none = |_: &mut dyn crate::backend::Session, _| Err(Error::Usage("a prior has no density".to_owned()));
        let mut codes = sampler.draw(&mut *session, count, conditions, seed, none)?; // [count, latent], the means
        let draw = Draw { seed, stream: Stream::Generator, step: 0 };
        add_noise(&mut codes, self.latent(), self.deviation(&model), draw);
        Ok(codes)
    }

    /// The importance-sampled log-density of each code, given its condition, in nats.
    ///
    /// # Errors
    /// [`Error::NonFinite`] where one is not finite.
    pub fn log_likelihood(&self, codes: &CodeSet<'_>) -> Result<Vec<f64>> {
        let (header, parameters) = (&self.0.header, &self.0.parameters[..]);
        let model = Model::new(header.model.clone())?;
        let config = header.train.config(&header.model);
        let images = images(codes);
        let device: &dyn Device = &Cpu::<f32>::new();
        let request = Request {
            model: &model,
            parameters,
            config: &config,
            images: &images,
            samples: SAMPLES,
            densities: &[],
            ranks: &Alone,
        };
        let scores = request.scores(Measure::Likelihood, device, Options::default(), |_| ())?.scores;
        Ok(scores.into_iter().map(|score| -score).collect())
    }

    /// The standard deviation of a code around the decoder's mean.
    fn deviation(&self, model: &Model) -> f32 {
        let logvar = model.layout().named("decoder.logvar");
        logvar.map_or(0.0, |logvar| (0.5 * self.0.parameters[logvar.offset]).exp())
    }
}

/// Codes as a data set has them, with their condition.
fn images(codes: &CodeSet<'_>) -> Images {
    let size = ImageSize::of_features(codes.latent);
    let condition = match codes.condition() {
        0 => None,
        1 => Some(Values::Reals(codes.conditions.to_vec())),
        _ => Some(Values::Bytes(codes.conditions.iter().map(|value| (255.0 * value) as u8).collect())),
    };
    Images { condition, ..Images::new(size, Values::Reals(codes.codes.to_vec())) }
}

/// What codes are conditioned on: a class, or where there is but one value a number, which is as it is.
fn condition_of(codes: &CodeSet<'_>, schema: &mut Schema) -> Option<Condition> {
    match codes.condition() {
        0 => None,
        1 => {
            schema.number = Some(Moments { mean: 0.0, deviation: 1.0, range: [0.0; 2] });
            Some(Condition::Number)
        }
        classes => {
            schema.classes = (0..classes).map(|class| class.to_string()).collect();
            Some(Condition::Label)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::density::{Density, DensityKind};

    /// Codes on a ring in two dimensions.
    fn ring(count: u32) -> Vec<f32> {
        let draw = Draw { seed: 3, stream: Stream::Synthetic, step: 0 };
        let code = |i| {
            let (angle, radius) = (std::f32::consts::TAU * draw.uniform(i, 0), 2.0 + 0.1 * draw.normal(i, 1));
            [radius * angle.cos(), radius * angle.sin()]
        };
        (0..count).flat_map(code).collect()
    }

    #[test]
    fn a_second_stage_knows_a_ring_that_a_gaussian_does_not() {
        let codes = ring(6000);
        let (train, test) = codes.split_at(2 * 5000);
        let train = &CodeSet::new(train, 2);
        let stage = SecondStage::train(train, 1, "the ring", &mut ()).unwrap();
        let draws = stage.draw(1000, &[], 7).unwrap();
        let on_ring = |z: &[f32]| (z[0].hypot(z[1]) - 2.0).abs() < 0.5;
        let share = |codes: &[f32]| codes.chunks(2).filter(|z| on_ring(z)).count() as f64 / (codes.len() / 2) as f64;
        let gaussian = Density::fit(DensityKind::Gaussian, train.codes, 2, 0).unwrap();
        let (found, of_gaussian) = (share(&draws), share(&gaussian.draw(1000, 7)));
        assert!(found > 0.75 && of_gaussian < 0.5, "{found} {of_gaussian}");
        let mean = |all: Vec<f64>| all.iter().sum::<f64>() / all.len() as f64;
        let (of_stage, of_one) =
            (mean(stage.log_likelihood(&CodeSet::new(test, 2)).unwrap()), mean(gaussian.log_likelihood(test)));
        assert!(of_stage > of_one + 0.5, "{of_stage} {of_one}");
        // The first of many are the same as few; another seed gives others.
        assert_eq!(stage.draw(10, &[], 7).unwrap(), draws[..20]);
        assert_ne!(stage.draw(10, &[], 8).unwrap(), draws[..20]);

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("best.second-stage.safetensors");
        stage.save(&path).unwrap();
        assert_eq!(SecondStage::load(&path, "the ring").unwrap(), Some(stage.clone()));
        assert_eq!(SecondStage::load(&path, "another").unwrap(), None);
        let SecondStage(mut checkpoint) = stage;
        checkpoint.header.of = None;
        checkpoint.save(&path).unwrap();
        assert!(SecondStage::load(&path, "the ring").unwrap_err().to_string().contains("no second stage"));
        assert!(SecondStage::train(&CodeSet::new(&[1.0, 2.0], 2), 0, "", &mut ()).is_err());
        assert!(SecondStage::train(&CodeSet::new(&[1.0, f32::NAN, 1.0, 1.0], 2), 0, "", &mut ()).is_err());
    }
}
