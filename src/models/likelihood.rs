//! The graphs that score examples: the log-likelihood by importance sampling, and the terms of the bound.

use super::graphs::{Batches, Model, evaluated};
use super::pass::Pass;
use super::{Capability, Loss};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::{
    Factor, Kl, LogSumExpUpdate, MonteCarloKl, Order, Reparameterise, RepeatInterleave, Scale, SegmentSum,
};
use crate::rng::Stream;
use crate::tensor::Shape;

impl Model {
    /// The importance-sampled log-likelihood of `rows` examples (Burda et al. 2016, section 5): each step adds `samples`
    /// draws of the posterior to the running log-sum-exp `state` `[rows, 2]`, an input that the host starts with
    /// [`LogSumExpUpdate`]'s first value and reads as an output. Input `x` `[rows, features]`. The draws of step `i` are
    /// those of index `i`.
    ///
    /// # Errors
    /// [`Error::Usage`] where the model has no posterior or no normalised likelihood.
    pub fn importance(&self, rows: usize, samples: usize) -> Result<Graph> {
        let refused = || {
            let (name, loss) = (self.config.model.name(), self.config.loss.name());
            let (models, losses) = (Capability::Posterior.models(), Loss::likelihoods());
            Error::Usage(format!(
                "{name} with {loss} has no log-likelihood: it needs one of {models}, with one of {losses}"
            ))
        };
        if !self.has(Capability::Posterior) || !self.config.loss.is_likelihood() {
            return Err(refused());
        }
        let mut g = Graph::new(self.layout.clone());
        let state = g.input("state", Shape::new(rows, 2));
        let x = g.input("x", Shape::new(rows, self.config.features()));
        let mut pass = self.given(&mut g, rows);
        let code = self.family.encode(&mut g, x, &mut pass)?.ok_or_else(|| self.no_encoder())?;
        let posterior = code.posterior.ok_or_else(refused)?; // [rows, 2 latent]
        let Drawn { z, posteriors, targets } = drawn(&mut g, posterior, x, Stream::Importance, samples)?;
        let scores = self.reconstruction_terms(&mut g, z, targets, &mut pass)?; // [rows samples, 1]
        let mut divergences = g.apply(MonteCarloKl.into(), &[posteriors, z])?; // [rows samples, 1]
        if let Some(beyond) = self.family.beyond_normal(&mut g, z)? {
            divergences = g.add_scaled(divergences, beyond, Factor::Constant(1.0))?;
        }
        let negative = g.add_scaled(scores, divergences, Factor::Constant(1.0))?;
        let weights = g.apply(Scale { factor: Factor::Constant(-1.0) }.into(), &[negative])?; // log w
        g.update(LogSumExpUpdate { samples }, &[state, weights])?;
        g.output("state", state);
        Ok(g)
    }

    /// The terms of each example's score, in the data set's own order: output `reconstruction` `[rows, 1]`, the loss's
    /// reconstruction term decoded from the code or the posterior's mean; with `samples` draws of the posterior the sum of
    /// their terms. Output `kl` `[rows, 1]` from N(0, I) in closed form (Kingma and Welling 2014, appendix B) where there is a
    /// posterior; with draws, and a prior that is not N(0, I), `beyond` `[rows, 1]`, the sum over them of what the divergence from
    /// the prior has beyond that.
    /// The draws of step `i` are those of index `i`.
    ///
    /// # Errors
    /// [`Error::Usage`] where the model has no encoder, or draws are asked of one without a posterior.
    pub fn scores(&self, batches: &Batches, samples: Option<usize>) -> Result<Graph> {
        let mut g = Graph::new(self.layout.clone());
        let x = self.gather(&mut g, batches, Order::Stored, evaluated(batches.pixels))?; // [rows, features]
        let mut pass = Pass::evaluation(self.gather_condition(&mut g, batches, Order::Stored)?);
        let code = self.family.encode(&mut g, x, &mut pass)?.ok_or_else(|| self.no_encoder())?;
        let mut beyond = None;
        let reconstruction = match samples {
            None => self.reconstruction_terms(&mut g, code.mean, x, &mut pass)?, // [rows, 1]
            Some(samples) => {
                let posterior = code.posterior.ok_or_else(|| self.no_posterior())?; // [rows, 2 latent]
                let stream = Stream::EvaluationPosterior;
                let Drawn { z, targets, .. } = drawn(&mut g, posterior, x, stream, samples)?;
                let terms = self.reconstruction_terms(&mut g, z, targets, &mut pass)?; // [rows samples, 1]
                beyond = self.family.beyond_normal(&mut g, z)?;
                g.apply(SegmentSum { count: samples }.into(), &[terms])? // [rows, 1]
            }
        };
        g.output("reconstruction", reconstruction);
        if let Some(posterior) = code.posterior {
            let kl = g.apply(Kl.into(), &[posterior])?; // [rows, 1]
            g.output("kl", kl);
            if let (Some(beyond), Some(samples)) = (beyond, samples) {
                let sums = g.apply(SegmentSum { count: samples }.into(), &[beyond])?; // [rows, 1]
                g.output("beyond", sums);
            }
        }
        Ok(g)
    }

    fn reconstruction_terms(&self, g: &mut Graph, z: NodeId, x: NodeId, pass: &mut Pass) -> Result<NodeId> {
        self.family.reconstruction(g, z, x, pass)?.ok_or_else(|| self.no_encoder())
    }
}

/// Draws of a posterior, those of an example one after another.
struct Drawn {
    /// The draws, `[rows samples, latent]`.
    z: NodeId,
    /// The posterior of each, `[rows samples, 2 latent]`.
    posteriors: NodeId,
    /// The image of each, `[rows samples, features]`.
    targets: NodeId,
}

/// `samples` draws for each row of a posterior `[rows, 2 latent]` of images `x` `[rows, features]`.
fn drawn(g: &mut Graph, posterior: NodeId, x: NodeId, stream: Stream, samples: usize) -> Result<Drawn> {
    let repeat = RepeatInterleave { count: samples };
    let posteriors = g.apply(repeat.into(), &[posterior])?;
    let targets = g.apply(repeat.into(), &[x])?;
    let z = g.apply(Reparameterise { stream, samples }.into(), &[posteriors])?;
    Ok(Drawn { z, posteriors, targets })
}
