//! The deterministic autoencoder: `x -> code -> x'`, scored by its reconstruction, with an L1 penalty on the code (a sparse
//! autoencoder) or an L2 one (the regulariser of Ghosh et al. 2020) if asked for.
//!
//! It has no prior: samples are drawn from a density fitted to the training codes (Ghosh et al. 2020, section 4).
//!
//! Corrected against the teaching texts: a listing's squared error subtracted `[batch, features]` from
//! `[batch, 1, features]`, which broadcasts to every pair of the batch; here each example meets its own target.

use super::autoencoder::{Autoencoder, mean};
use super::pass::Pass;
use super::{Batch, Capability, Code, Family, ModelConfig, Penalty};
use crate::error::Result;
use crate::graph::{Graph, NodeId, ParameterId, ParameterLayout};
use crate::ops::{Activation, Constant, Factor, PowerSum};
use crate::tensor::Shape;

/// Networks, activation of the code, and the penalty on it.
#[derive(Clone, Debug)]
pub(super) struct Ae {
    pub(super) networks: Autoencoder,
    code_activation: Activation,
    penalty: Option<Penalty>,
}

impl Ae {
    pub(super) const CAPABILITIES: &[Capability] =
        &[Capability::Encoder, Capability::PointCode, Capability::RankingLoss, Capability::Penalty];

    pub(super) fn declare(config: &ModelConfig, layout: &mut ParameterLayout) -> Ae {
        let networks = Autoencoder::declare(config, layout, config.latent);
        Ae { networks, code_activation: config.code_activation, penalty: config.penalty }
    }

    /// The code of `x`: `[rows, latent]`.
    pub(super) fn code(&self, g: &mut Graph, x: NodeId, pass: &mut Pass) -> Result<NodeId> {
        self.networks.encoder().apply(g, x, self.code_activation, pass)
    }
}

impl Family for Ae {
    fn terms(&self) -> &'static [&'static str] {
        &["loss", "recon", "penalty"]
    }

    fn evaluation(&self, g: &mut Graph, batch: &Batch, pass: &mut Pass) -> Result<Vec<NodeId>> {
        let z = self.code(g, batch.input, pass)?; // [rows, latent]
        let scores = self.networks.reconstruction_loss(g, z, batch.target, pass)?; // [rows, 1]
        let recon = mean(g, scores)?;
        let Some(Penalty { norm, weight }) = self.penalty else {
            let none = g.apply(Constant::new(0.0, Shape::SCALAR).into(), &[])?;
            return Ok(vec![recon, recon, none]);
        };
        let norms = g.apply(PowerSum { norm }.into(), &[z])?; // [rows, 1]
        let penalty = mean(g, norms)?;
        Ok(vec![g.add_scaled(recon, penalty, Factor::Constant(weight))?, recon, penalty])
    }

    fn encode(&self, g: &mut Graph, x: NodeId, pass: &mut Pass) -> Result<Option<Code>> {
        Ok(Some(Code { mean: self.code(g, x, pass)?, logvar: None, posterior: None }))
    }

    fn decode(&self, g: &mut Graph, z: NodeId, pass: &mut Pass) -> Result<NodeId> {
        self.networks.decode(g, z, pass)
    }

    fn reconstruction(&self, g: &mut Graph, z: NodeId, x: NodeId, pass: &mut Pass) -> Result<Option<NodeId>> {
        self.networks.reconstruction(g, z, x, pass)
    }

    fn output_bias(&self) -> ParameterId {
        self.networks.decoder().last_bias()
    }
}
