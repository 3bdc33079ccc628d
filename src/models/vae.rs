//! The variational autoencoder of Kingma and Welling 2014, with the KL weight of Higgins et al. 2017 (beta-VAE) and the
//! free bits of Kingma et al. 2016.
//!
//! Encoder `x -> [mean | logvar]`, `z = mean + exp(logvar / 2) eps`, decoder `z -> x'`. The loss of an image is
//! `reconstruction + beta KL` in nats, the mean over the batch is what is minimised. Mean and log-variance come from one
//! last layer of `2 latent` columns: one product instead of two, each with weights of its own.
//!
//! Mean and log-variance have columns of their own (Kingma and Welling, appendix C.2), and the KL is a sum over the latent
//! (equation 10); with `--deviation softplus` the encoder's last layer gives standard deviations, before softplus. Texts that
//! teach the model often share columns, average the KL or leave it out.

use super::autoencoder::{Autoencoder, mean};
use super::pass::Pass;
use super::{BETA, Batch, Capability, Code, Deviation, Family, ModelConfig};
use crate::error::Result;
use crate::graph::{Graph, NodeId, ParameterId, ParameterLayout};
use crate::ops::{
    Activation, Factor, FreeBits, Kl, KlColumns, Reparameterise, Narrow, SoftplusPosterior,
};

/// A VAE's networks.
#[derive(Clone, Debug)]
pub(super) struct Vae {
    pub(super) networks: Autoencoder,
    deviation: Deviation,
    latent: usize,
    free_bits: f64,
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
        Vae { networks: Autoencoder::declare(config, layout, 2 * latent), deviation, latent, free_bits }
    }

    /// `[mean | logvar]` of `x`: `[rows, 2 latent]`.
    pub(super) fn posterior(&self, g: &mut Graph, x: NodeId, pass: &mut Pass) -> Result<NodeId> {
        let last = self.networks.encoder().apply(g, x, Activation::Identity, pass)?; // [rows, 2 latent]
        match self.deviation {
            Deviation::Logvar => Ok(last),
            Deviation::Softplus => g.apply(SoftplusPosterior.into(), &[last]),
        }
    }

    /// (loss, reconstruction, KL), each `[1, 1]`.
    pub(super) fn losses(&self, g: &mut Graph, batch: &Batch, pass: &mut Pass) -> Result<Vec<NodeId>> {
        let posterior = self.posterior(g, batch.input, pass)?; // [rows, 2 latent]
        let z = g.apply(Reparameterise { stream: batch.posterior, samples: 1 }.into(), &[posterior])?; // [rows, latent]
        let reconstructions = self.networks.reconstruction_loss(g, z, batch.target, pass)?; // [rows, 1]
        let kls = g.apply(Kl.into(), &[posterior])?; // [rows, 1]
        let (recon, kl) = (mean(g, reconstructions)?, mean(g, kls)?);
        let kl_term = if self.free_bits > 0.0 {
            let columns = g.apply(KlColumns.into(), &[posterior])?; // [1, latent]
            g.apply(FreeBits { floor: self.free_bits }.into(), &[columns])?
        } else {
            kl
        };
        let loss = g.add_scaled(recon, kl_term, Factor::Scalar(BETA))?;
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

    fn encode(&self, g: &mut Graph, x: NodeId) -> Result<Option<Code>> {
        let (posterior, latent) = (self.posterior(g, x, &mut Pass::evaluation())?, self.latent);
        let mean = g.apply(Narrow { start: 0, count: latent }.into(), &[posterior])?; // [rows, latent]
        let logvar = g.apply(Narrow { start: latent, count: latent }.into(), &[posterior])?; // [rows, latent]
        Ok(Some(Code { mean, logvar: Some(logvar), posterior: Some(posterior) }))
    }

    fn decode(&self, g: &mut Graph, z: NodeId) -> Result<NodeId> {
        self.networks.decode(g, z)
    }

    fn reconstruction(&self, g: &mut Graph, z: NodeId, x: NodeId) -> Result<Option<NodeId>> {
        self.networks.reconstruction(g, z, x)
    }

    fn output_bias(&self) -> ParameterId {
        self.networks.decoder().last_bias()
    }
}
