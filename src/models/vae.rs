//! The variational autoencoder of Kingma and Welling 2014, with the KL weight of Higgins et al. 2017 (beta-VAE) and the
//! free bits of Kingma et al. 2016.
//!
//! Encoder `x -> [mean | logvar]`, `z = mean + exp(logvar / 2) eps`, decoder `z -> x'`. The loss of an image is
//! `reconstruction + beta KL` in nats, the mean over the batch is what is minimised. Mean and log-variance come from one
//! last layer of `2 latent` columns: one product instead of two, each with weights of its own.
//!
//! Where beta is not given but a target of the reconstruction, beta is moved to meet it (Rezende and Viola 2018): its logarithm goes
//! down while the reconstruction is worse than the target, and up while it is better. Evaluation then has a beta of 1.
//!
//! Mean and log-variance have columns of their own (Kingma and Welling, appendix C.2), and the KL is a sum over the latent
//! (equation 10); with `--deviation softplus` the encoder's last layer gives standard deviations, before softplus. Texts that
//! teach the model often share columns, average the KL or leave it out.

use super::autoencoder::{Autoencoder, mean};
use super::pass::Pass;
use super::prior::{self, PseudoInputs};
use super::{BETA, LOG_BETA, Batch, Capability, Code, Deviation, Family, ModelConfig};
use crate::error::Result;
use crate::graph::{Graph, Init, NodeId, ParameterId, ParameterLayout};
use crate::ops::{Activation, Factor, FreeBits, Kl, KlColumns, MoveWeight, Narrow, Reparameterise, SoftplusPosterior, Weigh};
use crate::tensor::Shape;

/// A VAE's networks.
#[derive(Clone, Debug)]
pub(super) struct Vae {
    pub(super) networks: Autoencoder,
    deviation: Deviation,
    latent: usize,
    free_bits: f64,
    pseudo_inputs: Option<PseudoInputs>,
    constraint: Option<Constraint>,
}

/// A target of the reconstruction term, and `beta.log` `[1, 1]`, state: the logarithm of the weight that is moved to meet it.
#[derive(Clone, Copy, Debug)]
struct Constraint {
    log_beta: ParameterId,
    op: MoveWeight,
}

/// How far a step moves the logarithm of beta for each unit a value that the reconstruction is off: a hundredth of a nat a pixel takes
/// it by a factor of e in 1000 steps, which weights follow.
const RATE: f64 = 0.1;

impl Constraint {
    fn declare(config: &ModelConfig, layout: &mut ParameterLayout) -> Option<Constraint> {
        let op = MoveWeight { target: config.target?, rate: RATE / config.features() as f64 };
        Some(Constraint { log_beta: layout.declare_state(LOG_BETA, Shape::SCALAR, Init::Zero), op })
    }
}

impl Vae {
    pub(super) const CAPABILITIES: &[Capability] = &[
        Capability::Encoder,
        Capability::Posterior,
        Capability::Prior,
        Capability::RankingLoss,
        Capability::WeightedKl,
    ];

    pub(super) fn declare(config: &ModelConfig, layout: &mut ParameterLayout) -> Vae {
        let ModelConfig { deviation, latent, free_bits, .. } = *config;
        let networks = Autoencoder::declare(config, layout, 2 * latent);
        let pseudo_inputs = PseudoInputs::declare(config, layout);
        Vae { networks, deviation, latent, free_bits, pseudo_inputs, constraint: Constraint::declare(config, layout) }
    }

    /// `[mean | logvar]` of `x`: `[rows, 2 latent]`.
    pub(super) fn posterior(&self, g: &mut Graph, x: NodeId, pass: &mut Pass) -> Result<NodeId> {
        let last = self.networks.encoder().apply(g, x, Activation::Identity, pass)?; // [rows, 2 latent]
        match self.deviation {
            Deviation::Logvar => Ok(last),
            Deviation::Softplus => g.apply(SoftplusPosterior.into(), &[last]),
        }
    }

    /// Divergences from the prior, of those from N(0, I), `[rows, 1]`, and draws z `[rows, latent]`.
    pub(super) fn with_prior(&self, g: &mut Graph, from_normal: NodeId, z: NodeId) -> Result<NodeId> {
        match self.beyond_normal(g, z)? {
            Some(beyond) => g.add_scaled(from_normal, beyond, Factor::Constant(1.0)),
            None => Ok(from_normal),
        }
    }

    /// (loss, reconstruction, KL), each `[1, 1]`.
    pub(super) fn losses(&self, g: &mut Graph, batch: &Batch, pass: &mut Pass) -> Result<Vec<NodeId>> {
        let posterior = self.posterior(g, batch.input, pass)?; // [rows, 2 latent]
        let z = g.apply(Reparameterise { stream: batch.posterior, samples: 1 }.into(), &[posterior])?; // [rows, latent]
        let reconstructions = self.networks.reconstruction_loss(g, z, batch.target, pass)?; // [rows, 1]
        let kls = g.apply(Kl.into(), &[posterior])?; // [rows, 1]
        let kls = self.with_prior(g, kls, z)?;
        let (recon, kl) = (mean(g, reconstructions)?, mean(g, kls)?);
        let kl_term = if self.free_bits > 0.0 {
            let columns = g.apply(KlColumns.into(), &[posterior])?; // [1, latent]
            g.apply(FreeBits { floor: self.free_bits }.into(), &[columns])?
        } else {
            kl
        };
        let loss = match (self.constraint, pass.examples()) {
            (Some(Constraint { log_beta, op }), Some(_)) => {
                let weight = g.parameter(log_beta);
                let weighed = g.apply(Weigh.into(), &[kl_term, weight])?;
                pass.moves(log_beta, op, recon);
                g.add_scaled(recon, weighed, Factor::Constant(1.0))?
            }
            _ => g.add_scaled(recon, kl_term, Factor::Scalar(BETA))?,
        };
        Ok(vec![loss, recon, kl])
    }
}

impl Family for Vae {
    fn terms(&self) -> &'static [&'static str] {
        &["loss", "recon", "kl"]
    }

    fn evaluation(&self, g: &mut Graph, batch: &Batch, pass: &mut Pass) -> Result<Vec<NodeId>> {
        self.losses(g, batch, pass)
    }

    fn encode(&self, g: &mut Graph, x: NodeId, pass: &mut Pass) -> Result<Option<Code>> {
        let (posterior, latent) = (self.posterior(g, x, pass)?, self.latent);
        let mean = g.apply(Narrow { start: 0, count: latent }.into(), &[posterior])?; // [rows, latent]
        let logvar = g.apply(Narrow { start: latent, count: latent }.into(), &[posterior])?; // [rows, latent]
        Ok(Some(Code { mean, logvar: Some(logvar), posterior: Some(posterior) }))
    }

    fn decode(&self, g: &mut Graph, z: NodeId, pass: &mut Pass) -> Result<NodeId> {
        self.networks.decode(g, z, pass)
    }

    fn reconstruction(&self, g: &mut Graph, z: NodeId, x: NodeId, pass: &mut Pass) -> Result<Option<NodeId>> {
        self.networks.reconstruction(g, z, x, pass)
    }

    fn beyond_normal(&self, g: &mut Graph, z: NodeId) -> Result<Option<NodeId>> {
        match self.components(g)? {
            Some(components) => prior::beyond_normal(g, z, components).map(Some),
            None => Ok(None),
        }
    }

    fn components(&self, g: &mut Graph) -> Result<Option<NodeId>> {
        let Some(pseudo_inputs) = self.pseudo_inputs else { return Ok(None) };
        let images = pseudo_inputs.images(g)?; // [K, features]
        self.posterior(g, images, &mut Pass::evaluation(None)).map(Some)
    }

    fn pseudo_inputs(&self) -> Option<PseudoInputs> {
        self.pseudo_inputs
    }

    fn output_bias(&self) -> ParameterId {
        self.networks.decoder().last_bias()
    }
}
