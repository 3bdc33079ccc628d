//! The networks of all autoencoders: encoder, decoder, and the reconstruction loss.

use super::config::{Loss, ModelConfig, Variance};
use super::network::Network;
use super::pass::Pass;
use crate::error::Result;
use crate::graph::{Graph, Init, NodeId, ParameterId, ParameterLayout};
use crate::ops::{Activation, BatchMean, BceLogits, Gaussian, OptimalLogvar, SegmentSum, SquaredError};
use crate::tensor::Shape;

/// Encoder, decoder, and for [`Loss::Gaussian`] the log-variance `decoder.logvar` `[1, 1]`, which begins at 0: trained, or with
/// [`Variance::Optimal`] state that follows the batches' best.
#[derive(Clone, Debug)]
pub(super) struct Autoencoder {
    encoder: Network,
    decoder: Network,
    logvar: Option<ParameterId>,
    variance: Variance,
    loss: Loss,
    output: Activation,
    features: usize,
}

impl Autoencoder {
    /// Declares it with `code` columns at the encoder's end.
    pub(super) fn declare(config: &ModelConfig, layout: &mut ParameterLayout, code: usize) -> Autoencoder {
        let ModelConfig { init, loss, variance, .. } = *config;
        let encoder = Network::declare(layout, &config.encoder("encoder", code), init);
        let decoder = Network::declare(layout, &config.decoder("decoder"), init);
        let logvar = (loss == Loss::Gaussian).then(|| match variance {
            Variance::Learned => layout.declare("decoder.logvar", Shape::SCALAR, Init::Zero),
            Variance::Optimal => layout.declare_state("decoder.logvar", Shape::SCALAR, Init::Zero),
        });
        let (output, features) = (config.output.activation(), config.features());
        Autoencoder { encoder, decoder, logvar, variance, loss, output, features }
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
        if self.loss == Loss::Bce {
            let logits = self.decoder.apply(g, z, Activation::Identity, pass)?; // [rows, features]
            return g.apply(BceLogits.into(), &[logits, x]);
        }
        let y = self.decoder.apply(g, z, self.output, pass)?; // [rows, features]
        let squares = g.apply(SquaredError.into(), &[y, x])?; // [rows, 1]
        match self.logvar {
            Some(logvar) => {
                let logvar = match (self.variance, pass.examples()) {
                    (Variance::Optimal, Some(examples)) => {
                        let optimal = self.optimal(g, squares, examples)?;
                        pass.follow(logvar, optimal);
                        optimal
                    }
                    _ => g.parameter(logvar),
                };
                g.apply(Gaussian { features: self.features }.into(), &[squares, logvar])
            }
            None => Ok(squares),
        }
    }

    /// [`super::Family::reconstruction`].
    pub(super) fn reconstruction(&self, g: &mut Graph, z: NodeId, x: NodeId) -> Result<Option<NodeId>> {
        self.reconstruction_loss(g, z, x, &mut Pass::evaluation()).map(Some)
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
    pub(super) fn decode(&self, g: &mut Graph, z: NodeId) -> Result<NodeId> {
        let output = if self.loss == Loss::Bce { Activation::Sigmoid } else { self.output };
        self.decoder.apply(g, z, output, &mut Pass::evaluation())
    }
}

/// The batch's mean of a number an example: `[rows, 1]` -> `[1, 1]`.
pub(super) fn mean(g: &mut Graph, x: NodeId) -> Result<NodeId> {
    g.apply(BatchMean.into(), &[x])
}
