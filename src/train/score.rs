//! Anomaly scores: a number for each example, higher where the model knows less of its like.
//!
//! | score | what it is | unit |
//! |---|---|---|
//! | reconstruction | the loss's reconstruction term of the image decoded from its code, the posterior's mean (An and Cho 2015 compare it with a mean over draws) | nats where the loss is a likelihood, else a sum of squares |
//! | elbo | minus the evidence lower bound: the reconstruction term's mean over draws of the posterior, and the KL in closed form (Kingma and Welling 2014, equation 3); beta and free bits do not count | nats |
//! | likelihood | minus the importance-sampled log-likelihood (Burda et al. 2016, section 5) | nats |
//!
//! Draws follow from the seed, the number of samples and the example's index: neither from the batch nor the device.

use std::ops::ControlFlow;

use serde::Serialize;

use super::data_loader::{DataLoader, First};
use super::evaluate::{ROWS, Request};
use super::importance::{IMPORTANCE_ROWS, samples_at_once};
use super::queue::Queue;
use super::schedule::batches;
use crate::backend::{Device, Session};
use crate::error::{Error, Result};
use crate::graph::PARAMETERS;
use crate::models::{Capability, Loss, ModelConfig, Prior};
use crate::ops::Order;
use crate::plan::{Options, compile};
use crate::step::Step;

/// What a score is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// The loss's reconstruction term, decoded from the code or the posterior's mean
    Reconstruction,
    /// Minus the evidence lower bound
    Elbo,
    /// Minus the importance-sampled log-likelihood
    Likelihood,
}

impl Measure {
    /// The best that a model has: the bound, where its loss is one, else the reconstruction.
    pub fn of_model(model: &ModelConfig) -> Measure {
        match model.model.has(Capability::Posterior) && model.loss.is_likelihood() {
            true => Measure::Elbo,
            false => Measure::Reconstruction,
        }
    }

    /// Its name, as `--by` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Measure::Reconstruction => "reconstruction",
            Measure::Elbo => "elbo",
            Measure::Likelihood => "likelihood",
        }
    }

    /// Draws of the posterior an example, where it draws any and nothing else is said. Ten leave the bound a third of a single
    /// draw's error, for a tenth of a likelihood's cost: 9 nats beside 29 where a model of one digit scored all ten, and
    /// scores had a standard deviation of 95. The likelihood's are those of evaluation.
    pub fn default_samples(self) -> Option<usize> {
        match self {
            Measure::Reconstruction => None,
            Measure::Elbo => Some(10),
            Measure::Likelihood => Some(100),
        }
    }

    /// What scores are measured in.
    pub fn unit(self, model: &ModelConfig) -> &'static str {
        match self == Measure::Reconstruction && !model.loss.is_likelihood() {
            true => "squared error, summed over values",
            false => "nats",
        }
    }

    /// Checks that a model has it.
    ///
    /// # Errors
    /// [`Error::Usage`] that names what the model lacks.
    pub fn check(self, model: &ModelConfig) -> Result<()> {
        let (kind, name) = (model.model, self.name());
        if !kind.has(Capability::Encoder) {
            let (kind, others) = (kind.name(), Capability::Encoder.models());
            return Err(Error::Usage(format!("{kind} can't be scored: it has no encoder; these can: {others}")));
        }
        if self == Measure::Reconstruction {
            return Ok(());
        }
        kind.check_option(&format!("by {name}"), Capability::Posterior)?;
        match model.loss.is_likelihood() {
            true => Ok(()),
            false => Err(Error::Usage(format!(
                "--by {name} needs a loss that is a likelihood, one of {}: this model was trained with --loss {}",
                Loss::likelihoods(),
                model.loss.name()
            ))),
        }
    }
}

/// Numbers by example, `[count]` each.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// The scores; higher is more anomalous.
    pub scores: Vec<f64>,
    /// The loss's reconstruction term: the mean over draws behind [`Measure::Elbo`], else of the code or the posterior's mean.
    pub reconstruction: Vec<f64>,
    /// The posterior's divergence from the prior in nats, in closed form, or where the prior was learned by the draws; none where
    /// the model has no posterior, or the prior was learned and there are no draws.
    pub kl: Option<Vec<f64>>,
}

impl Request<'_> {
    /// Scores each image on a device, in the order of the images; `progress` hears how many are done. [`Request::samples`] are
    /// the draws of the posterior an image, which [`Measure::Reconstruction`] does not read.
    ///
    /// # Errors
    /// [`Error::Usage`] for a score that the model does not have, [`Error::NonFinite`] that names the first example whose
    /// score is no finite number; else what the device fails with.
    pub fn scores(
        &self,
        by: Measure,
        device: &dyn Device,
        options: Options,
        mut progress: impl FnMut(usize),
    ) -> Result<Scores> {
        by.check(self.model.config())?;
        let rows = if by == Measure::Reconstruction { ROWS } else { IMPORTANCE_ROWS };
        let rows = rows.min(self.images.count());
        let loader = DataLoader::new(self.images, 0, rows, Order::Stored, self.config.data_limit(device))?;
        let first = loader.first();
        let sets: Vec<_> = first.iter().map(First::data).collect();
        let mut session = device.session(self.model.layout(), &sets)?;
        let session = &mut *session;
        session.write_arena(PARAMETERS, self.parameters)?;
        let draws = (by == Measure::Elbo).then_some(self.samples);
        let quiet = by == Measure::Likelihood;
        let [reconstruction, kl] = self.terms(session, &loader, options, draws, |done| {
            if !quiet {
                progress(done);
            }
        })?;
        // From a prior that was learned the divergence is known of draws alone.
        let known = self.model.config().prior == Prior::Normal || draws.is_some();
        let kl = (self.model.has(Capability::Posterior) && known).then_some(kl);
        let scores = match (by, &kl) {
            (Measure::Likelihood, _) => {
                let all = self.log_likelihoods(session, &loader, options, &mut progress)?;
                all.into_iter().map(|value| -value).collect()
            }
            (Measure::Elbo, Some(kl)) => reconstruction.iter().zip(kl).map(|(term, kl)| term + kl).collect(),
            _ => reconstruction.clone(),
        };
        self.check_finite(by, &scores)?;
        Ok(Scores { scores, reconstruction, kl })
    }

    /// Reconstruction term and KL of each image, the first as a mean over so many draws, where any are asked for.
    fn terms(
        &self,
        session: &mut dyn Session,
        loader: &DataLoader<'_>,
        options: Options,
        draws: Option<usize>,
        mut progress: impl FnMut(usize),
    ) -> Result<[Vec<f64>; 2]> {
        let of = loader.batches(self.config.pixels());
        let at_once = draws.map(samples_at_once);
        let program = session.load(compile(&self.model.scores(&of, at_once)?, options)?)?;
        let (draws, steps) = (draws.unwrap_or(1), draws.unwrap_or(1) / at_once.unwrap_or(1));
        let learned = self.model.config().prior != Prior::Normal;
        let (mut queue, mut reconstruction, mut kl) = (Queue::default(), Vec::new(), Vec::new());
        let batches: Vec<(u32, u32)> = batches(self.images.count() as u32, of.rows).collect();
        for &(first, rows) in &batches[self.ranks.share(batches.len())] {
            let step = Step { first, rows, seed: self.config.seed, ..Step::default() };
            loader.upload(session, &[step])?;
            let (mut sums, mut beyond) = (vec![0.0; rows as usize], vec![0.0; rows as usize]);
            for index in 0..steps as u64 {
                let step = Step { index, ..step };
                queue.run(session, None, &[program], &[step], |_, _| Ok(ControlFlow::Continue(())))?;
                let terms = session.read_output(program, "reconstruction")?; // [rows, 1]
                sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += f64::from(term));
                if learned && at_once.is_some() {
                    let terms = session.read_output(program, "beyond")?; // [rows, 1]
                    beyond.iter_mut().zip(terms).for_each(|(sum, term)| *sum += f64::from(term));
                }
            }
            reconstruction.extend(sums.into_iter().map(|sum| sum / draws as f64));
            if self.model.has(Capability::Posterior) {
                let kls = session.read_output(program, "kl")?; // [rows, 1]
                kl.extend(kls.into_iter().zip(beyond).map(|(kl, beyond)| f64::from(kl) + beyond / draws as f64));
            }
            progress(self.images.count().min(reconstruction.len() * self.ranks.count()));
        }
        if self.model.has(Capability::Posterior) {
            kl = self.gather(&kl, &batches);
        }
        Ok([self.gather(&reconstruction, &batches), kl])
    }

    fn check_finite(&self, by: Measure, scores: &[f64]) -> Result<()> {
        let Some(at) = scores.iter().position(|score| !score.is_finite()) else { return Ok(()) };
        let file = self.images.names.get(at).map_or(String::new(), |name| format!(" ({name})"));
        Err(Error::NonFinite(format!("the {} score of example {at}{file} is {}", by.name(), scores[at])))
    }
}
