//! The importance-weighted autoencoder of Burda, Grosse and Salakhutdinov 2016.
//!
//! Of k draws z_i from the posterior, the loss of an image is `-log(1/k sum_i p(x, z_i) / q(z_i | x))` in nats (equation
//! 8), a bound that tightens with k. Its gradient weighs each draw by its share of the sum (equation 14), which is what
//! differentiating the log-mean-exp gives. The networks are the VAE's.
//!
//! At k = 1 the bound is the VAE's; the divergence of the one draw is then taken in closed form, as the VAE takes it: the
//! same expectation with less variance, so that `iwae` with k = 1 and `vae` are one model, to the bit.
//!
//! Recorded are the bound, the mean reconstruction of the draws, and their mean `log q(z | x) - log p(z)`; by Jensen's
//! inequality the first is at most the sum of the others.

use super::autoencoder::mean;
use super::vae::Vae;
use super::pass::Pass;
use super::prior::PseudoInputs;
use super::{Batch, Capability, Code, Family, ModelConfig};
use crate::error::Result;
use crate::graph::{Graph, NodeId, ParameterId, ParameterLayout};
use crate::ops::{Factor, ImportanceBound, Reparameterise, RepeatInterleave, MonteCarloKl, Scale, SegmentSum};

/// The VAE's networks, and how often the posterior is drawn from.
#[derive(Clone, Debug)]
pub(super) struct Iwae {
    vae: Vae,
    samples: usize,
}

impl Iwae {
    pub(super) const CAPABILITIES: &[Capability] = &[
        Capability::Encoder,
        Capability::Posterior,
        Capability::Prior,
        Capability::RankingLoss,
        Capability::ImportanceSamples,
    ];

    pub(super) fn declare(config: &ModelConfig, layout: &mut ParameterLayout) -> Iwae {
        Iwae { vae: Vae::declare(config, layout), samples: config.samples }
    }

    fn losses(&self, g: &mut Graph, batch: &Batch, pass: &mut Pass) -> Result<Vec<NodeId>> {
        let samples = self.samples;
        if samples == 1 {
            return self.vae.losses(g, batch, pass);
        }
        let posterior = self.vae.posterior(g, batch.input, pass)?; // [rows, 2 latent]
        let repeat = RepeatInterleave { count: samples };
        let posteriors = g.apply(repeat.into(), &[posterior])?; // [rows k, 2 latent]
        let targets = g.apply(repeat.into(), &[batch.target])?; // [rows k, features]
        let z = g.apply(Reparameterise { stream: batch.posterior, samples }.into(), &[posteriors])?; // [rows k, latent]
        let reconstructions = self.vae.networks.reconstruction_loss(g, z, targets, pass)?; // [rows k, 1]
        let divergences = g.apply(MonteCarloKl.into(), &[posteriors, z])?; // [rows k, 1]
        let divergences = self.vae.with_prior(g, divergences, z)?;
        let weights = g.add_scaled(reconstructions, divergences, Factor::Constant(1.0))?; // [rows k, 1], -log w
        let bounds = g.apply(ImportanceBound { samples }.into(), &[weights])?; // [rows, 1]
        let mut of_draws = |x| -> Result<NodeId> {
            let sums = g.apply(SegmentSum { count: samples }.into(), &[x])?; // [rows, 1]
            let sum = mean(g, sums)?;
            g.apply(Scale { factor: Factor::Constant(1.0 / samples as f64) }.into(), &[sum])
        };
        let (recon, divergence) = (of_draws(reconstructions)?, of_draws(divergences)?);
        Ok(vec![mean(g, bounds)?, recon, divergence])
    }
}

impl Family for Iwae {
    fn terms(&self) -> &'static [&'static str] {
        self.vae.terms()
    }

    fn evaluation(&self, g: &mut Graph, batch: &Batch, pass: &mut Pass) -> Result<Vec<NodeId>> {
        self.losses(g, batch, pass)
    }

    fn encode(&self, g: &mut Graph, x: NodeId, pass: &mut Pass) -> Result<Option<Code>> {
        self.vae.encode(g, x, pass)
    }

    fn decode(&self, g: &mut Graph, z: NodeId, pass: &mut Pass) -> Result<NodeId> {
        self.vae.decode(g, z, pass)
    }

    fn reconstruction(&self, g: &mut Graph, z: NodeId, x: NodeId, pass: &mut Pass) -> Result<Option<NodeId>> {
        self.vae.reconstruction(g, z, x, pass)
    }

    fn beyond_normal(&self, g: &mut Graph, z: NodeId) -> Result<Option<NodeId>> {
        self.vae.beyond_normal(g, z)
    }

    fn components(&self, g: &mut Graph) -> Result<Option<NodeId>> {
        self.vae.components(g)
    }

    fn pseudo_inputs(&self) -> Option<PseudoInputs> {
        self.vae.pseudo_inputs()
    }

    fn output_bias(&self) -> ParameterId {
        self.vae.output_bias()
    }
}
