//! The "collapsed" VAE: the posterior's noise is removed and the prior stays, so that the code is deterministic and pays
//! for its distance from the origin: `1/2 ||x - x'||^2 - log p(z)`, p = N(0, I), in nats (with binary cross-entropy or
//! the learned variance in place of the first term if asked for).
//!
//! It is the VAE's bound in the limit of a posterior of no width, without the entropy that grows without bound there; that
//! is an autoencoder with an L2 penalty, whose codes match no prior exactly. Samples are therefore drawn from a density
//! fitted to the codes (Ghosh et al. 2020), who derive the same objective in section 3.
//!
//! Corrected against the teaching text, whose loss had `+ log p(z)`: that sign rewards codes for growing.

use std::f64::consts::PI;

use super::ae::Ae;
use super::autoencoder::mean;
use super::pass::Pass;
use super::{Batch, Capability, Code, Family, Loss, ModelConfig};
use crate::error::Result;
use crate::graph::{Graph, NodeId, ParameterId, ParameterLayout};
use crate::ops::{Constant, Factor, Norm, PowerSum, Scale};
use crate::tensor::Shape;

const HALF: Factor = Factor::Constant(0.5);

/// The autoencoder's networks.
#[derive(Clone, Debug)]
pub(super) struct Collapsed {
    ae: Ae,
    loss: Loss,
    latent: usize,
}

impl Collapsed {
    pub(super) const CAPABILITIES: &[Capability] =
        &[Capability::Encoder, Capability::PointCode, Capability::RankingLoss];

    pub(super) fn declare(config: &ModelConfig, layout: &mut ParameterLayout) -> Collapsed {
        Collapsed { ae: Ae::declare(config, layout), loss: config.loss, latent: config.latent }
    }
}

impl Collapsed {
    /// A squared error counts half: it is `-log p(x | z)` of unit variance then, but for a constant.
    fn halved(&self, g: &mut Graph, score: NodeId) -> Result<NodeId> {
        match self.loss {
            Loss::Mse => g.apply(Scale { factor: HALF }.into(), &[score]),
            _ => Ok(score),
        }
    }
}

impl Family for Collapsed {
    fn terms(&self) -> &'static [&'static str] {
        &["loss", "recon", "prior"]
    }

    fn evaluation(&self, g: &mut Graph, batch: &Batch, pass: &mut Pass) -> Result<Vec<NodeId>> {
        let z = self.ae.code(g, batch.input, pass)?; // [rows, latent]
        let scores = self.ae.networks.reconstruction_loss(g, z, batch.target, pass)?; // [rows, 1]
        let score = mean(g, scores)?;
        let recon = self.halved(g, score)?;
        let squares = g.apply(PowerSum { norm: Norm::L2 }.into(), &[z])?; // [rows, 1]
        let square = mean(g, squares)?;
        let normaliser = Constant::new(0.5 * self.latent as f64 * (2.0 * PI).ln(), Shape::SCALAR);
        let normaliser = g.apply(normaliser.into(), &[])?;
        let prior = g.add_scaled(normaliser, square, HALF)?; // -log p(z)
        Ok(vec![g.add_scaled(recon, prior, Factor::Constant(1.0))?, recon, prior])
    }

    fn encode(&self, g: &mut Graph, x: NodeId, pass: &mut Pass) -> Result<Option<Code>> {
        self.ae.encode(g, x, pass)
    }

    fn decode(&self, g: &mut Graph, z: NodeId, pass: &mut Pass) -> Result<NodeId> {
        self.ae.decode(g, z, pass)
    }

    fn reconstruction(&self, g: &mut Graph, z: NodeId, x: NodeId, pass: &mut Pass) -> Result<Option<NodeId>> {
        let scores = self.ae.networks.reconstruction_loss(g, z, x, pass)?; // [rows, 1]
        self.halved(g, scores).map(Some)
    }

    fn output_bias(&self) -> ParameterId {
        self.ae.output_bias()
    }
}
