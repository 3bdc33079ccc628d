//! The models: each is builder calls on a [`Graph`], nothing else. No model names a kernel.
//!
//! A [`Model`] is an architecture with its parameters laid out; it makes every graph that training, evaluation and the
//! commands run. What sets one model apart is its `Family` and its [`Capability`]s: one file and one line of the registry below. Read for this
//! part: PyTorch-VAE (a class a model, with its loss inside) and Pyro (model and guide apart from the objective). Here the
//! objective belongs to the model, as in the first; batches, noise and the optimiser do not, as in the second.

mod autoencoder;
mod capability;
mod case;
mod choices;
mod config;
mod flow;
mod graphs;
mod layer;
mod likelihood;
mod network;
mod pass;
mod prior;

pub use capability::Capability;
pub use case::CASE_FEATURES;
pub use choices::{Condition, Deviation, Initial, Loss, Output, Penalty, Prior, Variance};
pub use config::ModelConfig;
pub use flow::{Flow, FlowConfig};
pub use graphs::{Batches, CONDITION, Gradients, Model, SHARD_WEIGHT};
pub use layer::{Layer, Normalisation, UpsampledSize};

use std::fmt::Debug;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::graph::{Graph, NodeId, ParameterId, ParameterLayout};
use crate::rng::Stream;
use pass::Pass;
use prior::PseudoInputs;

macro_rules! registry {
    ($($(#[doc = $doc:literal])+ $module:ident: $model:ident;)+) => {
        $(mod $module;)+

        /// Kind of model.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
        #[serde(rename_all = "kebab-case")]
        pub enum ModelKind { $($(#[doc = $doc])+ $model),+ }

        impl ModelKind {
            /// All of them.
            pub const ALL: &[ModelKind] = &[$(ModelKind::$model),+];

            /// Its name, as `--model` takes it.
            pub fn name(self) -> &'static str {
                match self { $(ModelKind::$model => stringify!($module)),+ }
            }

            fn capabilities(self) -> &'static [Capability] {
                match self { $(ModelKind::$model => $module::$model::CAPABILITIES),+ }
            }

            fn declare(self, config: &ModelConfig, layout: &mut ParameterLayout) -> Box<dyn Family> {
                match self { $(ModelKind::$model => Box::new($module::$model::declare(config, layout))),+ }
            }
        }
    };
}

registry! {
    /// Deterministic autoencoder, with an L1 or L2 penalty on the code if asked for
    ae: Ae;
    /// Variational autoencoder; a beta-VAE with a beta other than 1
    vae: Vae;
    /// Autoencoder with the VAE's prior on a code without noise
    collapsed: Collapsed;
    /// Generative adversarial network
    gan: Gan;
    /// Importance-weighted autoencoder
    iwae: Iwae;
    /// Autoencoder with the encoder's squared Jacobian as a penalty
    contractive: Contractive;
}

/// Inputs of a batch's graph.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch {
    /// Target of the reconstruction, `[rows, features]`.
    target: NodeId,
    /// The encoder's input, `[rows, features]`: the target, or a corruption of it.
    input: NodeId,
    /// Rows of the batch.
    rows: usize,
    /// Stream of posterior noise.
    posterior: Stream,
    /// Stream of a generator's latents.
    prior: Stream,
}

/// A scalar to minimise.
#[derive(Clone, Debug)]
pub(crate) struct Objective {
    /// The scalar.
    loss: NodeId,
    /// Range of parameters to minimise over, in order of declaration.
    parameters: Range<usize>,
    /// Recorded metrics.
    recorded: Vec<(&'static str, NodeId)>,
}

/// The step's scalar that weighs the KL term.
pub const BETA: &str = "beta";

/// The state that is the logarithm of beta, where a model moves that itself.
pub const LOG_BETA: &str = "beta.log";

/// A code's distribution given an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Code {
    /// Its mean, or the code itself where it has no noise: `[rows, latent]`.
    mean: NodeId,
    /// Log-variances, `[rows, latent]`; none where the code has no noise.
    logvar: Option<NodeId>,
    /// `[mean | logvar]`, where there is noise.
    posterior: Option<NodeId>,
}

/// Networks and objective of a model.
pub(crate) trait Family: Debug + Send + Sync {
    /// Names of the recorded scalars; the first is the training loss.
    fn terms(&self) -> &'static [&'static str];

    /// Number of optimisation phases of a step.
    fn phases(&self) -> usize {
        1
    }

    /// The objective of an optimisation phase. Default: the metrics of evaluation, the first of them minimised over all
    /// parameters.
    fn objective(&self, g: &mut Graph, batch: &Batch, _phase: usize, pass: &mut Pass) -> Result<Objective> {
        let recorded = self.metrics(g, batch, pass)?;
        Ok(Objective { loss: recorded[0].1, parameters: 0..g.layout().parameters().len(), recorded })
    }

    /// [`Family::evaluation`] with the names.
    fn metrics(&self, g: &mut Graph, batch: &Batch, pass: &mut Pass) -> Result<Vec<(&'static str, NodeId)>> {
        let values = self.evaluation(g, batch, pass)?;
        Ok(self.terms().iter().copied().zip(values).collect())
    }

    /// The terms of a batch, in their order.
    fn evaluation(&self, g: &mut Graph, batch: &Batch, pass: &mut Pass) -> Result<Vec<NodeId>>;

    /// The code of `x`; none where the model has no encoder.
    fn encode(&self, g: &mut Graph, x: NodeId, pass: &mut Pass) -> Result<Option<Code>>;

    /// Images `[rows, features]` in the data's range, from latents `[rows, latent]`.
    fn decode(&self, g: &mut Graph, z: NodeId, pass: &mut Pass) -> Result<NodeId>;

    /// Logits `[rows, 1]` of `x` being an image of the data; none where the model has no discriminator.
    fn discriminate(&self, _g: &mut Graph, _x: NodeId, _pass: &mut Pass) -> Result<Option<NodeId>> {
        Ok(None)
    }

    /// The loss's reconstruction term by example, `[rows, 1]`, of `x` `[rows, features]` decoded from `z` `[rows, latent]`:
    /// `-log p(x | z)` in nats where the loss is a likelihood. None where the model has no encoder.
    fn reconstruction(&self, _g: &mut Graph, _z: NodeId, _x: NodeId, _pass: &mut Pass) -> Result<Option<NodeId>> {
        Ok(None)
    }

    /// `log N(z; 0, I) - log p(z)` of draws z `[rows, latent]` of the prior p, in nats, `[rows, 1]`; none where p is N(0, I).
    fn beyond_normal(&self, _g: &mut Graph, _z: NodeId) -> Result<Option<NodeId>> {
        Ok(None)
    }

    /// The Gaussians `[mean | logvar]` `[K, 2 latent]` whose mean the prior is; none where that is N(0, I).
    fn components(&self, _g: &mut Graph) -> Result<Option<NodeId>> {
        Ok(None)
    }

    /// The inputs that a prior learns.
    fn pseudo_inputs(&self) -> Option<PseudoInputs> {
        None
    }

    /// The bias of the layer that gives pixels.
    fn output_bias(&self) -> ParameterId;
}
