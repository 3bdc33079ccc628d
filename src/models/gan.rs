//! The generative adversarial network of Goodfellow et al. 2014: a generator `z -> x'` from N(0, I), a discriminator
//! `x -> logit`, trained in turn at every step, the discriminator first and with the same fakes.
//!
//! The discriminator minimises `BCE(D(x), 1) + BCE(D(G(z)), 0)`, the generator the non-saturating `BCE(D(G(z)), 1)`
//! (section 3), plus an L1 or L2 penalty on its output if asked for. Recorded: both losses in nats, and the discriminator's
//! accuracy over real and generated images alike: 0.5 where it can't tell them apart, 1 where the generator has lost.
//!
//! Corrected against the teaching text, whose generator minimised `log(1 - D(G(z)))`, the form whose gradient vanishes while
//! the generator is poor, and whose discriminator step also moved the generator: here each turn updates its own network.

use super::{Loss, ModelConfig};
use super::network::Network;
use super::pass::Pass;
use super::{Batch, Capability, Code, Family, Objective, Penalty};
use crate::error::Result;
use crate::graph::{Graph, NodeId, ParameterId, ParameterLayout};
use crate::models::autoencoder::mean;
use crate::ops::{Activation, BceLogits, Constant, Factor, Heaviside, Normal, PowerSum};
use crate::tensor::Shape;

/// Both networks.
#[derive(Clone, Debug)]
pub(super) struct Gan {
    generator: Network,
    discriminator: Network,
    /// The first parameter of the discriminator: those before it are the generator's.
    boundary: usize,
    count: usize,
    latent: usize,
    output: Activation,
    penalty: Option<Penalty>,
}

/// Losses and accuracy of a batch.
struct Played {
    generator: NodeId,
    discriminator: NodeId,
    accuracy: NodeId,
}

impl Gan {
    pub(super) const CAPABILITIES: &[Capability] = &[Capability::Prior, Capability::Discriminator, Capability::Penalty];

    pub(super) fn declare(config: &ModelConfig, layout: &mut ParameterLayout) -> Gan {
        let ModelConfig { latent, init, penalty, .. } = *config;
        debug_assert_eq!(config.loss, Loss::Bce, "validated");
        let generator = Network::declare(layout, &config.decoder("generator"), init);
        let boundary = layout.parameters().len();
        let discriminator = Network::declare(layout, &config.encoder("discriminator", 1), init);
        let (count, output) = (layout.parameters().len(), config.output.activation());
        Gan { generator, discriminator, boundary, count, latent, output, penalty }
    }

    /// Cross-entropy of the discriminator's logits with one answer, in nats: `[1, 1]`.
    fn judged(&self, g: &mut Graph, logits: NodeId, answer: f64) -> Result<NodeId> {
        let answers = g.apply(Constant::new(answer, g.shape(logits)).into(), &[])?; // [rows, 1]
        let losses = g.apply(BceLogits.into(), &[logits, answers])?; // [rows, 1]
        mean(g, losses)
    }

    fn play(&self, g: &mut Graph, batch: &Batch, passes: [&mut Pass; 2]) -> Result<Played> {
        let [of_generator, of_discriminator] = passes;
        let prior = Normal { stream: batch.prior, shape: Shape::new(batch.rows, self.latent) };
        let z = g.apply(prior.into(), &[])?; // [rows, latent]
        let fakes = self.generator.apply(g, z, self.output, of_generator)?; // [rows, features]
        let on_fakes = self.discriminator.apply(g, fakes, Activation::Identity, of_discriminator)?; // [rows, 1]
        let on_real = self.discriminator.apply(g, batch.target, Activation::Identity, of_discriminator)?; // [rows, 1]

        let (real, fake) = (self.judged(g, on_real, 1.0)?, self.judged(g, on_fakes, 0.0)?);
        let discriminator = g.add_scaled(real, fake, Factor::Constant(1.0))?;

        let mut generator = self.judged(g, on_fakes, 1.0)?;
        if let Some(Penalty { norm, weight }) = self.penalty {
            let norms = g.apply(PowerSum { norm }.into(), &[fakes])?; // [rows, 1]
            let penalty = mean(g, norms)?;
            generator = g.add_scaled(generator, penalty, Factor::Constant(weight))?;
        }

        // Right are real ones taken for real, and fakes not taken for real: (1 + share(real) - share(fakes)) / 2.
        let mut share = |logits| -> Result<NodeId> {
            let taken = g.apply(Heaviside.into(), &[logits])?; // [rows, 1]
            mean(g, taken)
        };
        let (real, fake) = (share(on_real)?, share(on_fakes)?);
        let half = g.apply(Constant::new(0.5, Shape::SCALAR).into(), &[])?;
        let right = g.add_scaled(half, real, Factor::Constant(0.5))?;
        let accuracy = g.add_scaled(right, fake, Factor::Constant(-0.5))?;
        Ok(Played { generator, discriminator, accuracy })
    }
}

impl Family for Gan {
    fn terms(&self) -> &'static [&'static str] {
        &["generator", "discriminator", "accuracy"]
    }

    fn phases(&self) -> usize {
        2
    }

    fn objective(&self, g: &mut Graph, batch: &Batch, phase: usize, pass: &mut Pass) -> Result<Objective> {
        let mut other = pass.frozen();
        let passes = if phase == 0 { [&mut other, pass] } else { [pass, &mut other] };
        let Played { generator, discriminator, accuracy } = self.play(g, batch, passes)?;
        Ok(match phase {
            0 => Objective {
                loss: discriminator,
                parameters: self.boundary..self.count,
                recorded: vec![("discriminator", discriminator), ("accuracy", accuracy)],
            },
            _ => Objective {
                loss: generator,
                parameters: 0..self.boundary,
                recorded: vec![("generator", generator)],
            },
        })
    }

    fn evaluation(&self, g: &mut Graph, batch: &Batch, pass: &mut Pass) -> Result<Vec<NodeId>> {
        let Played { generator, discriminator, accuracy } = self.play(g, batch, [&mut pass.frozen(), pass])?;
        Ok(vec![generator, discriminator, accuracy])
    }

    fn encode(&self, _: &mut Graph, _: NodeId, _: &mut Pass) -> Result<Option<Code>> {
        Ok(None)
    }

    fn decode(&self, g: &mut Graph, z: NodeId, pass: &mut Pass) -> Result<NodeId> {
        self.generator.apply(g, z, self.output, pass)
    }

    fn discriminate(&self, g: &mut Graph, x: NodeId, pass: &mut Pass) -> Result<Option<NodeId>> {
        self.discriminator.apply(g, x, Activation::Identity, pass).map(Some)
    }

    fn output_bias(&self) -> ParameterId {
        self.generator.last_bias()
    }
}
