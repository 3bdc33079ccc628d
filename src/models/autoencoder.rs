//! The networks of all autoencoders: encoder, decoder, and the reconstruction loss.

use super::network::Network;
use super::pass::Pass;
use super::{Loss, ModelConfig, Variance};
use crate::error::Result;
use crate::graph::{Graph, Init, NodeId, ParameterId, ParameterLayout};
use crate::ops::{
    Activation, BatchMean, BceLogits, ContinuousBernoulli, ContinuousBernoulliMean, DiscretisedLogistic, Gaussian,
    OptimalLogvar, SegmentSum, SquaredError,
};
use crate::tensor::Shape;

/// Encoder, decoder, and what scores a reconstruction.
#[derive(Clone, Debug)]
pub(super) struct Autoencoder {
    encoder: Network,
    decoder: Network,
    score: Score,
    output: Activation,
    features: usize,
}

/// A [`Loss`] with its parameter.
#[derive(Clone, Copy, Debug)]
enum Score {
    Bce,
    ContinuousBernoulli,
    Mse,
    /// `decoder.logvar` `[1, 1]`, which begins at 0: trained, or with [`Variance::Optimal`] state that follows the batches' best.
    Gaussian {
        logvar: ParameterId,
        variance: Variance,
    },
    /// `decoder.logscale` `[1, 1]`, trained from [`FIRST_LOGSCALE`] on.
    DiscretisedLogistic {
        logscale: ParameterId,
    },
}

/// A standard deviation of 0.25, about that of pixels in [0, 1] around their mean: that of a scale s is `pi s / sqrt 3`.
const FIRST_LOGSCALE: f64 = -2.0;

impl Score {
    fn declare(config: &ModelConfig, layout: &mut ParameterLayout) -> Score {
        match (config.loss, config.variance) {
            (Loss::Bce, _) => Score::Bce,
            (Loss::ContinuousBernoulli, _) => Score::ContinuousBernoulli,
            (Loss::Mse, _) => Score::Mse,
            (Loss::Gaussian, variance) => {
                let logvar = match variance {
                    Variance::Learned => layout.declare("decoder.logvar", Shape::SCALAR, Init::Zero),
                    Variance::Optimal => layout.declare_state("decoder.logvar", Shape::SCALAR, Init::Zero),
                };
                Score::Gaussian { logvar, variance }
            }
            (Loss::DiscretisedLogistic, _) => {
                let init = Init::Value(FIRST_LOGSCALE);
                Score::DiscretisedLogistic { logscale: layout.declare("decoder.logscale", Shape::SCALAR, init) }
            }
        }
    }
}

impl Autoencoder {
    /// Declares it with `code` columns at the encoder's end.
    pub(super) fn declare(config: &ModelConfig, layout: &mut ParameterLayout, code: usize) -> Autoencoder {
        let encoder = Network::declare(layout, &config.encoder("encoder", code), config.init);
        let decoder = Network::declare(layout, &config.decoder("decoder"), config.init);
        let score = Score::declare(config, layout);
        let output = if config.loss.reads_logits() { Activation::Identity } else { config.output.activation() };
        Autoencoder { encoder, decoder, score, output, features: config.features() }
    }

    /// The encoder.
    pub(super) fn encoder(&self) -> &Network {
        &self.encoder
    }

    /// The decoder.
    pub(super) fn decoder(&self) -> &Network {
        &self.decoder
    }

    /// Reconstruction loss from `z` by example, `[rows, 1]`.
    pub(super) fn reconstruction_loss(&self, g: &mut Graph, z: NodeId, x: NodeId, pass: &mut Pass) -> Result<NodeId> {
        let y = self.decoder.apply(g, z, self.output, pass)?; // [rows, features]
        match self.score {
            Score::Bce => g.apply(BceLogits.into(), &[y, x]),
            Score::ContinuousBernoulli => g.apply(ContinuousBernoulli.into(), &[y, x]),
            Score::DiscretisedLogistic { logscale } => {
                let logscale = g.parameter(logscale);
                g.apply(DiscretisedLogistic.into(), &[y, x, logscale])
            }
            Score::Mse => g.apply(SquaredError.into(), &[y, x]),
            Score::Gaussian { logvar, variance } => {
                let squares = g.apply(SquaredError.into(), &[y, x])?; // [rows, 1]
                let logvar = match (variance, pass.examples()) {
                    (Variance::Optimal, Some(examples)) => {
                        let optimal = self.optimal(g, squares, examples)?;
                        pass.follow(logvar, optimal);
                        optimal
                    }
                    _ => g.parameter(logvar),
                };
                g.apply(Gaussian { features: self.features }.into(), &[squares, logvar])
            }
        }
    }

    /// [`super::Family::reconstruction`].
    pub(super) fn reconstruction(
        &self,
        g: &mut Graph,
        z: NodeId,
        x: NodeId,
        pass: &mut Pass,
    ) -> Result<Option<NodeId>> {
        self.reconstruction_loss(g, z, x, pass).map(Some)
    }

    /// The best log-variance of a batch's squared errors, `[examples samples, 1]`.
    fn optimal(&self, g: &mut Graph, squares: NodeId, examples: usize) -> Result<NodeId> {
        let samples = g.shape(squares).rows() / examples;
        let of_examples = match samples {
            1 => squares,
            count => g.apply(SegmentSum { count }.into(), &[squares])?,
        };
        let mean = mean(g, of_examples)?;
        g.apply(OptimalLogvar { elements: samples * self.features }.into(), &[mean])
    }

    /// The decoder's mean for `z`: `[rows, features]`.
    pub(super) fn decode(&self, g: &mut Graph, z: NodeId, pass: &mut Pass) -> Result<NodeId> {
        let output = if let Score::Bce = self.score { Activation::Sigmoid } else { self.output };
        let y = self.decoder.apply(g, z, output, pass)?;
        match self.score {
            Score::ContinuousBernoulli => g.apply(ContinuousBernoulliMean.into(), &[y]),
            _ => Ok(y),
        }
    }
}

/// The batch's mean of a number an example: `[rows, 1]` -> `[1, 1]`.
pub(super) fn mean(g: &mut Graph, x: NodeId) -> Result<NodeId> {
    g.apply(BatchMean.into(), &[x])
}
