//! The graphs of a model, shared by all families.

use super::pass::Pass;
use super::{Batch, Capability, Condition, Family, ModelConfig, Prior};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, ParameterId, ParameterLayout, differentiate};
use crate::ops::{Augment, Constant, Corrupt, Factor, Narrow, Noise, Normal, Order, Pixels, Scale};
use crate::optim::Optimiser;
use crate::rng::Stream;
use crate::tensor::{DType, Shape};
use std::sync::Arc;

/// Source of batches, and their size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Batches {
    /// Index of the session's data set.
    pub data: usize,
    /// Index of that of the examples' conditions, `[examples, width]`: bytes of classes as unit vectors, 255 for 1, or real
    /// numbers. Read by a model that has a condition.
    pub condition: Option<usize>,
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

impl Batches {
    /// Batches of values as they are, all of which the session holds.
    pub fn new(data: usize, examples: usize, dtype: DType, rows: usize) -> Batches {
        let (condition, streamed, pixels) = (None, false, Pixels::Grey);
        Batches { data, condition, examples, dtype, rows, streamed, pixels, augment: None, noise: None }
    }
}

/// The input that holds the examples' condition, `[rows, width]`, where a model has one.
pub const CONDITION: &str = "condition";

/// The backward program of an optimisation phase, and the consecutive parameters whose gradients it stores.
#[derive(Clone, Debug)]
pub struct Gradients {
    /// A shuffled batch, the loss and its gradients.
    pub graph: Graph,
    /// The parameters, consecutive ones.
    pub parameters: Vec<ParameterId>,
}

/// The step's scalar that is a shard's share of the batch's rows.
pub const SHARD_WEIGHT: &str = "shard.weight";

/// An architecture with its parameters laid out.
#[derive(Clone, Debug)]
pub struct Model {
    pub(super) config: ModelConfig,
    pub(super) layout: ParameterLayout,
    pub(super) family: Arc<dyn Family>,
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
        (0..self.family.phases()).map(|phase| self.phase(batches, phase, None)).collect()
    }

    /// The gradients of a shard of a batch, times the scalar [`SHARD_WEIGHT`]: batches are those of a shard. That of the batch's loss is
    /// the sum of the shards', each weighted by its share of the rows; a loss that is no mean over rows, with batch norm or free bits,
    /// is taken of a shard alone.
    ///
    /// # Errors
    /// As [`Model::gradients`].
    pub fn sharded_gradients(&self, batches: &Batches) -> Result<Vec<Gradients>> {
        (0..self.family.phases()).map(|phase| self.phase(batches, phase, Some(SHARD_WEIGHT))).collect()
    }

    /// A phase's gradients; `weight` is the scalar of the step that its loss counts with.
    fn phase(&self, batches: &Batches, phase: usize, weight: Option<&'static str>) -> Result<Gradients> {
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
        let mut pass = Pass::training(batches.rows, self.gather_condition(&mut g, batches, Order::Shuffled)?);
        let objective = self.family.objective(&mut g, &batch, phase, &mut pass)?;
        g.record(&objective.recorded)?;
        let of_phase = self
            .layout
            .ids()
            .enumerate()
            .filter(|(at, id)| objective.parameters.contains(at) && self.layout.get(*id).trained);
        let parameters: Vec<ParameterId> = of_phase.map(|(_, id)| id).collect();
        store_gradients(&mut g, objective.loss, &parameters, weight)?;
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
        let mut pass = Pass::evaluation(self.gather_condition(&mut g, batches, Order::Stored)?);
        let metrics = self.family.metrics(&mut g, &batch, &mut pass)?;
        g.record(&metrics)?;
        Ok(g)
    }

    /// The examples as [`Model::evaluation`] sees them: output `x` `[rows, features]`, and `condition` `[rows, width]` where the
    /// model has one, as the graphs behind it, which have that for an input.
    ///
    /// # Errors
    /// Where the batches do not fit the model.
    pub fn examples(&self, batches: &Batches) -> Result<Graph> {
        let mut g = Graph::new(self.layout.clone());
        let x = self.gather(&mut g, batches, Order::Stored, evaluated(batches.pixels))?;
        g.output("x", x);
        if let Some(condition) = self.gather_condition(&mut g, batches, Order::Stored)? {
            g.output(CONDITION, condition);
        }
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
        let mut pass = self.given(&mut g, rows);
        let code = self.family.encode(&mut g, x, &mut pass)?.ok_or_else(|| self.no_encoder())?;
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
        let mut pass = self.given(&mut g, rows);
        let mean = self.family.decode(&mut g, z, &mut pass)?; // [rows, features]
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
        let mut pass = self.given(&mut g, rows);
        let Some(logit) = self.family.discriminate(&mut g, x, &mut pass)? else {
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
        let mut pass = self.given(&mut g, rows);
        let code = self.family.encode(&mut g, x, &mut pass)?.ok_or_else(|| self.no_encoder())?;
        let mean = self.family.decode(&mut g, code.mean, &mut pass)?; // [rows, features]
        g.output("latent", code.mean);
        g.output("mean", mean);
        Ok(g)
    }

    /// Output `mean` `[rows, features]`, decoded from draws of the prior N(0, I).
    ///
    /// # Errors
    /// [`Error::Usage`] where the model has no prior.
    pub fn sampling(&self, rows: usize) -> Result<Graph> {
        if !self.has(Capability::Prior) || self.config.prior != Prior::Normal {
            let name = self.config.model.name();
            return Err(Error::Usage(format!("{name} has no prior N(0, I): latents come from a density of codes")));
        }
        let mut g = Graph::new(self.layout.clone());
        let prior = Normal { stream: Stream::Prior, shape: Shape::new(rows, self.config.latent) };
        let z = g.apply(prior.into(), &[])?; // [rows, latent]
        let mut pass = self.given(&mut g, rows);
        let mean = self.family.decode(&mut g, z, &mut pass)?; // [rows, features]
        g.output("mean", mean);
        Ok(g)
    }

    /// The components of a prior that is a mean of Gaussians: outputs `mean` and `logvar`, `[K, latent]`; none where it is N(0, I).
    ///
    /// # Errors
    /// None that a validated model has.
    pub fn prior_components(&self) -> Result<Option<Graph>> {
        let (mut g, latent) = (Graph::new(self.layout.clone()), self.config.latent);
        let Some(components) = self.family.components(&mut g)? else { return Ok(None) };
        for (name, start) in [("mean", 0), ("logvar", latent)] {
            let part = g.apply(Narrow { start, count: latent }.into(), &[components])?;
            g.output(name, part);
        }
        Ok(Some(g))
    }

    /// The inputs that the prior learns, `[K, features]`, and how images become their values; none where it learns none.
    pub fn pseudo_inputs(&self) -> Option<(ParameterId, impl Fn(&mut [f32]))> {
        self.family.pseudo_inputs().map(|inputs| (inputs.parameter(), move |images: &mut [f32]| inputs.inverse(images)))
    }

    /// A pass in evaluation; the model's condition, if it has one, is an input.
    pub(super) fn given(&self, g: &mut Graph, rows: usize) -> Pass {
        let width = self.config.condition_width();
        Pass::evaluation((width > 0).then(|| g.input(CONDITION, Shape::new(rows, width))))
    }

    /// The conditions of a batch, `[rows, width]`; none where the model has none.
    pub(super) fn gather_condition(&self, g: &mut Graph, batches: &Batches, order: Order) -> Result<Option<NodeId>> {
        let Some(condition) = self.config.condition else { return Ok(None) };
        let Batches { condition: Some(index), examples, rows, streamed, .. } = *batches else {
            return Err(no_conditions());
        };
        let order = if streamed { Order::Streamed } else { order };
        let dtype = match condition {
            Condition::Class(_) => DType::U8,
            Condition::Number => DType::F32,
        };
        let data = g.dataset(index, Shape::new(examples, condition.width()), dtype);
        g.gather(data, rows, order, Pixels::Grey).map(Some)
    }

    pub(super) fn gather(&self, g: &mut Graph, batches: &Batches, order: Order, pixels: Pixels) -> Result<NodeId> {
        let Batches { data, examples, dtype, rows, streamed, .. } = *batches;
        let order = if streamed { Order::Streamed } else { order };
        let data = g.dataset(data, Shape::new(examples, self.config.features()), dtype);
        g.gather(data, rows, order, pixels)
    }

    pub(super) fn no_posterior(&self) -> Error {
        let (name, others) = (self.config.model.name(), Capability::Posterior.models());
        Error::Usage(format!("{name} has no posterior: it must be one of {others}"))
    }

    pub(super) fn no_encoder(&self) -> Error {
        let name = self.config.model.name();
        let others = Capability::Encoder.models();
        Error::Usage(format!("{name} has no encoder: it must be one of {others}"))
    }
}

pub(super) fn no_conditions() -> Error {
    Error::Usage("the model has a condition: its batches must have a data set of them".to_owned())
}

/// Stores the gradients of a loss with respect to these parameters, or of the loss times a scalar of the step.
pub(super) fn store_gradients(
    g: &mut Graph,
    loss: NodeId,
    parameters: &[ParameterId],
    weight: Option<&'static str>,
) -> Result<()> {
    let mut seed = g.apply(Constant::new(1.0, Shape::SCALAR).into(), &[])?;
    if let Some(weight) = weight {
        seed = g.apply(Scale { factor: Factor::Scalar(weight) }.into(), &[seed])?;
    }
    let values: Vec<NodeId> = parameters.iter().map(|&id| g.parameter(id)).collect();
    let gradients = differentiate(g, loss, seed, &values)?;
    parameters.iter().zip(gradients).try_for_each(|(&id, gradient)| g.store_gradient(id, gradient))
}

/// Binary pixels are drawn from a stream of their own while nothing learns.
pub(super) fn evaluated(pixels: Pixels) -> Pixels {
    match pixels {
        Pixels::Bernoulli(_) => Pixels::Bernoulli(Stream::EvaluationPixels),
        other => other,
    }
}
