//! The graphs of a model, shared by all families.

use super::pass::Pass;
use super::{Batch, Capability, Family, Loss, ModelConfig};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, ParameterId, ParameterLayout, differentiate};
use crate::ops::{
    Augment, Constant, Corrupt, Factor, Kl, LogSumExpUpdate, MonteCarloKl, Noise, Normal, Order, Pixels,
    Reparameterise, RepeatInterleave, Scale, SegmentSum,
};
use crate::optim::Optimiser;
use crate::rng::Stream;
use crate::tensor::{DType, Shape};
use std::sync::Arc;

/// Source of batches, and their size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Batches {
    /// Index of the session's data set.
    pub data: usize,
    /// Examples of it that the session holds.
    pub examples: usize,
    /// Element type of its values.
    pub dtype: DType,
    /// Examples a batch.
    pub rows: usize,
    /// Whether the session holds only one submission's batches, uploaded before it ([`Order::Streamed`]).
    pub streamed: bool,
    /// Preprocessing of its values.
    pub pixels: Pixels,
    /// Augmentation of training images.
    pub augment: Option<Augment>,
    /// Corruption of the encoder's input in training.
    pub noise: Option<Noise>,
}

/// The backward program of an optimisation phase, and the consecutive parameters whose gradients it stores.
#[derive(Clone, Debug)]
pub struct Gradients {
    /// A shuffled batch, the loss and its gradients.
    pub graph: Graph,
    /// The parameters, consecutive ones.
    pub parameters: Vec<ParameterId>,
}

/// An architecture with its parameters laid out.
#[derive(Clone, Debug)]
pub struct Model {
    config: ModelConfig,
    layout: ParameterLayout,
    family: Arc<dyn Family>,
}

impl Model {
    /// Lays out the parameters.
    ///
    /// # Errors
    /// Those of [`ModelConfig::validate`].
    pub fn new(config: ModelConfig) -> Result<Model> {
        config.validate()?;
        let mut layout = ParameterLayout::default();
        let family = config.model.declare(&config, &mut layout);
        Ok(Model { config, layout, family: family.into() })
    }

    /// The architecture.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Layout of the parameters.
    pub fn layout(&self) -> &ParameterLayout {
        &self.layout
    }

    /// Names of the recorded scalars; the first is what training minimises.
    pub fn terms(&self) -> &'static [&'static str] {
        self.family.terms()
    }

    /// Whether the model has a capability.
    pub fn has(&self, capability: Capability) -> bool {
        self.config.model.has(capability)
    }

    /// The bias of the layer that gives pixels: `[features]`, or `[channels]` of a convolution.
    pub fn output_bias(&self) -> ParameterId {
        self.family.output_bias()
    }

    /// A training step, as programs to run in this order: for each optimisation phase its gradients, then their update.
    ///
    /// # Errors
    /// Where the batches do not fit the model, or the optimiser's options are not allowed.
    pub fn training(&self, batches: &Batches, optimiser: &Optimiser) -> Result<Vec<Graph>> {
        let mut graphs = Vec::new();
        for Gradients { graph, parameters } in self.gradients(batches)? {
            graphs.extend([graph, optimiser.update(&self.layout, &parameters)?]);
        }
        Ok(graphs)
    }

    /// The gradients of each optimisation phase.
    ///
    /// # Errors
    /// Where the batches do not fit the model.
    pub fn gradients(&self, batches: &Batches) -> Result<Vec<Gradients>> {
        (0..self.family.phases()).map(|phase| self.phase(batches, phase)).collect()
    }

    fn phase(&self, batches: &Batches, phase: usize) -> Result<Gradients> {
        let mut g = Graph::new(self.layout.clone());
        let batch = self.gather(&mut g, batches, Order::Shuffled, batches.pixels)?; // [rows, features]
        let target = match batches.augment {
            Some(augment) => g.apply(augment.into(), &[batch])?,
            None => batch,
        };
        let input = match batches.noise {
            Some(noise) => g.apply(Corrupt { noise, stream: Stream::Corruption }.into(), &[target])?,
            None => target,
        };
        let (posterior, prior) = (Stream::Posterior, Stream::Generator);
        let batch = Batch { target, input, rows: batches.rows, posterior, prior };
        let mut pass = Pass::training(batches.rows);
        let objective = self.family.objective(&mut g, &batch, phase, &mut pass)?;
        g.record(&objective.recorded)?;
        let one = g.apply(Constant::new(1.0, Shape::SCALAR).into(), &[])?;
        let of_phase = self
            .layout
            .ids()
            .enumerate()
            .filter(|(at, id)| objective.parameters.contains(at) && self.layout.get(*id).trained);
        let parameters: Vec<ParameterId> = of_phase.map(|(_, id)| id).collect();
        let values: Vec<NodeId> = parameters.iter().map(|&id| g.parameter(id)).collect();
        let gradients = differentiate(&mut g, objective.loss, one, &values)?;
        parameters.iter().zip(gradients).try_for_each(|(&id, gradient)| g.store_gradient(id, gradient))?;
        pass.finish(&mut g)?;
        Ok(Gradients { graph: g, parameters })
    }

    /// An evaluation step: a batch in the data set's own order, uncorrupted, with draws of its own streams.
    ///
    /// # Errors
    /// Where the batches do not fit the model.
    pub fn evaluation(&self, batches: &Batches) -> Result<Graph> {
        let mut g = Graph::new(self.layout.clone());
        let target = self.gather(&mut g, batches, Order::Stored, evaluated(batches.pixels))?; // [rows, features]
        let (posterior, prior) = (Stream::EvaluationPosterior, Stream::EvaluationGenerator);
        let batch = Batch { target, input: target, rows: batches.rows, posterior, prior };
        let metrics = self.family.metrics(&mut g, &batch, &mut Pass::evaluation())?;
        g.record(&metrics)?;
        Ok(g)
    }

    /// The examples as [`Model::evaluation`] sees them: output `x` `[rows, features]`.
    ///
    /// # Errors
    /// Where the batches do not fit the model.
    pub fn examples(&self, batches: &Batches) -> Result<Graph> {
        let mut g = Graph::new(self.layout.clone());
        let x = self.gather(&mut g, batches, Order::Stored, evaluated(batches.pixels))?;
        g.output("x", x);
        Ok(g)
    }

    /// Input `x` `[rows, features]`; outputs `latent` `[rows, latent]`, the posterior mean or the code, and where there is
    /// noise `logvar` `[rows, latent]`.
    ///
    /// # Errors
    /// [`Error::Usage`] where the model has no encoder.
    pub fn encoding(&self, rows: usize) -> Result<Graph> {
        let mut g = Graph::new(self.layout.clone());
        let x = g.input("x", Shape::new(rows, self.config.features()));
        let code = self.family.encode(&mut g, x)?.ok_or_else(|| self.no_encoder())?;
        g.output("latent", code.mean);
        if let Some(logvar) = code.logvar {
            g.output("logvar", logvar);
        }
        Ok(g)
    }

    /// Input `z` `[rows, latent]`; output `mean` `[rows, features]`.
    ///
    /// # Errors
    /// None that a validated model has.
    pub fn decoding(&self, rows: usize) -> Result<Graph> {
        let mut g = Graph::new(self.layout.clone());
        let z = g.input("z", Shape::new(rows, self.config.latent));
        let mean = self.family.decode(&mut g, z)?; // [rows, features]
        g.output("mean", mean);
        Ok(g)
    }

    /// Input `x` `[rows, features]`; output `logit` `[rows, 1]`, above 0 where the discriminator takes it for real.
    ///
    /// # Errors
    /// [`Error::Usage`] where the model has no discriminator.
    pub fn discrimination(&self, rows: usize) -> Result<Graph> {
        let mut g = Graph::new(self.layout.clone());
        let x = g.input("x", Shape::new(rows, self.config.features()));
        let Some(logit) = self.family.discriminate(&mut g, x)? else {
            let name = self.config.model.name();
            let others = Capability::Discriminator.models();
            return Err(Error::Usage(format!("{name} has no discriminator: it must be one of {others}")));
        };
        g.output("logit", logit);
        Ok(g)
    }

    /// Input `x` `[rows, features]`; outputs `latent` `[rows, latent]`, and `mean` `[rows, features]`, decoded from it.
    ///
    /// # Errors
    /// [`Error::Usage`] where the model has no encoder.
    pub fn reconstruction(&self, rows: usize) -> Result<Graph> {
        let mut g = Graph::new(self.layout.clone());
        let x = g.input("x", Shape::new(rows, self.config.features()));
        let code = self.family.encode(&mut g, x)?.ok_or_else(|| self.no_encoder())?;
        let mean = self.family.decode(&mut g, code.mean)?; // [rows, features]
        g.output("latent", code.mean);
        g.output("mean", mean);
        Ok(g)
    }

    /// Output `mean` `[rows, features]`, decoded from draws of the prior N(0, I).
    ///
    /// # Errors
    /// [`Error::Usage`] where the model has no prior.
    pub fn sampling(&self, rows: usize) -> Result<Graph> {
        if !self.has(Capability::Prior) {
            let name = self.config.model.name();
            return Err(Error::Usage(format!("{name} has no prior: latents come from a density fitted to its codes")));
        }
        let mut g = Graph::new(self.layout.clone());
        let prior = Normal { stream: Stream::Prior, shape: Shape::new(rows, self.config.latent) };
        let z = g.apply(prior.into(), &[])?; // [rows, latent]
        let mean = self.family.decode(&mut g, z)?; // [rows, features]
        g.output("mean", mean);
        Ok(g)
    }

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
        let code = self.family.encode(&mut g, x)?.ok_or_else(|| self.no_encoder())?;
        let posterior = code.posterior.ok_or_else(refused)?; // [rows, 2 latent]
        let Drawn { z, posteriors, targets } = drawn(&mut g, posterior, x, Stream::Importance, samples)?;
        let scores = self.reconstruction_terms(&mut g, z, targets)?; // [rows samples, 1]
        let divergences = g.apply(MonteCarloKl.into(), &[posteriors, z])?; // [rows samples, 1]
        let negative = g.add_scaled(scores, divergences, Factor::Constant(1.0))?;
        let weights = g.apply(Scale { factor: Factor::Constant(-1.0) }.into(), &[negative])?; // log w
        g.update(LogSumExpUpdate { samples }, &[state, weights])?;
        g.output("state", state);
        Ok(g)
    }

    /// The terms of each example's score, in the data set's own order: output `reconstruction` `[rows, 1]`, the loss's
    /// reconstruction term decoded from the code or the posterior's mean; with `samples` draws of the posterior the sum of
    /// their terms. Output `kl` `[rows, 1]` in closed form (Kingma and Welling 2014, appendix B) where there is a posterior.
    /// The draws of step `i` are those of index `i`.
    ///
    /// # Errors
    /// [`Error::Usage`] where the model has no encoder, or draws are asked of one without a posterior.
    pub fn scores(&self, batches: &Batches, samples: Option<usize>) -> Result<Graph> {
        let mut g = Graph::new(self.layout.clone());
        let x = self.gather(&mut g, batches, Order::Stored, evaluated(batches.pixels))?; // [rows, features]
        let code = self.family.encode(&mut g, x)?.ok_or_else(|| self.no_encoder())?;
        let reconstruction = match samples {
            None => self.reconstruction_terms(&mut g, code.mean, x)?, // [rows, 1]
            Some(samples) => {
                let posterior = code.posterior.ok_or_else(|| self.no_posterior())?; // [rows, 2 latent]
                let stream = Stream::EvaluationPosterior;
                let Drawn { z, targets, .. } = drawn(&mut g, posterior, x, stream, samples)?;
                let terms = self.reconstruction_terms(&mut g, z, targets)?; // [rows samples, 1]
                g.apply(SegmentSum { count: samples }.into(), &[terms])? // [rows, 1]
            }
        };
        g.output("reconstruction", reconstruction);
        if let Some(posterior) = code.posterior {
            let kl = g.apply(Kl.into(), &[posterior])?; // [rows, 1]
            g.output("kl", kl);
        }
        Ok(g)
    }

    fn reconstruction_terms(&self, g: &mut Graph, z: NodeId, x: NodeId) -> Result<NodeId> {
        self.family.reconstruction(g, z, x)?.ok_or_else(|| self.no_encoder())
    }

    fn gather(&self, g: &mut Graph, batches: &Batches, order: Order, pixels: Pixels) -> Result<NodeId> {
        let Batches { data, examples, dtype, rows, streamed, .. } = *batches;
        let order = if streamed { Order::Streamed } else { order };
        let data = g.dataset(data, Shape::new(examples, self.config.features()), dtype);
        g.gather(data, rows, order, pixels)
    }

    fn no_posterior(&self) -> Error {
        let (name, others) = (self.config.model.name(), Capability::Posterior.models());
        Error::Usage(format!("{name} has no posterior: it must be one of {others}"))
    }

    fn no_encoder(&self) -> Error {
        let name = self.config.model.name();
        let others = Capability::Encoder.models();
        Error::Usage(format!("{name} has no encoder: it must be one of {others}"))
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

/// Binary pixels are drawn from a stream of their own while nothing learns.
fn evaluated(pixels: Pixels) -> Pixels {
    match pixels {
        Pixels::Bernoulli(_) => Pixels::Bernoulli(Stream::EvaluationPixels),
        other => other,
    }
}
