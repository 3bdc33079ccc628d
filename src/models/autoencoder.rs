//! The networks of all autoencoders: encoder, decoder, and the reconstruction loss.

use super::config::{Loss, ModelConfig};
use super::network::Network;
use super::pass::Pass;
use crate::error::Result;
use crate::graph::{Graph, Init, NodeId, ParameterId, ParameterLayout};
use crate::ops::{Activation, BatchMean, BceLogits, Gaussian, SquaredError};
use crate::tensor::Shape;

/// Encoder, decoder, and for [`Loss::Gaussian`] the learned log-variance `decoder.logvar` `[1, 1]`, which begins at 0.
#[derive(Clone, Debug)]
pub(super) struct Autoencoder {
    encoder: Network,
    decoder: Network,
    logvar: Option<ParameterId>,
    loss: Loss,
    output: Activation,
    features: usize,
}

impl Autoencoder {
    /// Declares it with `code` columns at the encoder's end.
    pub(super) fn declare(config: &ModelConfig, layout: &mut ParameterLayout, code: usize) -> Autoencoder {
        let ModelConfig { init, loss, .. } = *config;
        let encoder = Network::declare(layout, &config.encoder("encoder", code), init);
        let decoder = Network::declare(layout, &config.decoder("decoder"), init);
        let logvar = (loss == Loss::Gaussian).then(|| layout.declare("decoder.logvar", Shape::SCALAR, Init::Zero));
        Autoencoder { encoder, decoder, logvar, loss, output: config.output.activation(), features: config.features() }
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
                let logvar = g.parameter(logvar);
                g.apply(Gaussian { features: self.features }.into(), &[squares, logvar])
            }
            None => Ok(squares),
        }
    }

    /// [`super::Family::reconstruction`].
    pub(super) fn reconstruction(&self, g: &mut Graph, z: NodeId, x: NodeId) -> Result<Option<NodeId>> {
        self.reconstruction_loss(g, z, x, &mut Pass::evaluation()).map(Some)
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
