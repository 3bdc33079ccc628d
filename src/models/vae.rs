//! The variational autoencoder of Kingma and Welling 2014, with the KL weight of Higgins et al. 2017 (beta-VAE).
//!
//! Encoder `x -> [mean | logvar]`, `z = mean + exp(logvar / 2) eps`, decoder `z -> x'`. The loss of an image is
//! `reconstruction + beta KL` in nats, the mean over the batch is what is minimised. Mean and log-variance come from one
//! last layer of `2 latent` columns: one product instead of two, and no shared head.

use super::mlp::Mlp;
use super::{Loss, ModelConfig};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, ParameterLayout, Shape, differentiate};
use crate::ops::{
    Activation, Adam, BatchMean, BceLogits, Constant, Factor, Kl, Normal, Pixels, SliceColumns, SquaredError,
};
use crate::rng::Stream;

/// A VAE's architecture and parameter layout.
#[derive(Clone, Debug)]
pub struct Vae {
    config: ModelConfig,
    layout: ParameterLayout,
    encoder: Mlp,
    decoder: Mlp,
}

impl Vae {
    /// Lays out the parameters.
    ///
    /// # Errors
    /// [`Error::Usage`] where a size is 0 or there is no hidden layer.
    pub fn new(config: ModelConfig) -> Result<Vae> {
        if config.hidden.is_empty() || config.hidden.contains(&0) {
            let found = &config.hidden;
            return Err(Error::Usage(format!("hidden sizes are {found:?}: at least one is needed, each at least 1")));
        }
        for (what, size) in [("latent", config.latent), ("features", config.features)] {
            if size == 0 {
                return Err(Error::Usage(format!("{what} is 0: it must be at least 1")));
            }
        }
        let around = |ends: [usize; 2], hidden: Vec<usize>| [vec![ends[0]], hidden, vec![ends[1]]].concat();
        let encoder = around([config.features, 2 * config.latent], config.hidden.clone());
        let decoder = around([config.latent, config.features], config.hidden.iter().rev().copied().collect());
        let mut layout = ParameterLayout::default();
        let encoder = Mlp::declare(&mut layout, "encoder", &encoder, config.activation);
        let decoder = Mlp::declare(&mut layout, "decoder", &decoder, config.activation);
        Ok(Vae { config, layout, encoder, decoder })
    }

    /// The architecture.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Where each parameter lies.
    pub fn layout(&self) -> &ParameterLayout {
        &self.layout
    }

    /// A training step: a shuffled batch of data set `data` (of `examples`), the loss, its gradients, Adam. Records
    /// (loss, reconstruction, KL).
    pub fn training(&self, data: usize, examples: usize, batch: usize, pixels: Pixels, adam: Adam) -> Result<Graph> {
        let mut g = Graph::new(self.layout.clone());
        let loss = self.losses(&mut g, data, examples, batch, true, pixels, Stream::Posterior)?;
        let one = g.apply(Constant::new(1.0, Shape::SCALAR).into(), &[])?;
        let parameters: Vec<NodeId> = self.layout.ids().map(|id| g.parameter(id)).collect();
        let gradients = differentiate(&mut g, loss, one, &parameters)?;
        g.update(adam.into(), self.layout.ids().zip(gradients).collect())?;
        Ok(g)
    }

    /// An evaluation step: a batch in the data set's own order, with posterior draws of its own stream. Records as
    /// [`Vae::training`] does.
    pub fn evaluation(&self, data: usize, examples: usize, batch: usize, pixels: Pixels) -> Result<Graph> {
        let mut g = Graph::new(self.layout.clone());
        let pixels = match pixels {
            Pixels::Bernoulli(_) => Pixels::Bernoulli(Stream::EvaluationPixels),
            other => other,
        };
        self.losses(&mut g, data, examples, batch, false, pixels, Stream::EvaluationPosterior)?;
        Ok(g)
    }

    /// Input `x` `[rows, features]` in [0, 1]; outputs `latent` `[rows, latent]`, the posterior mean, and `mean`
    /// `[rows, features]`, decoded from it.
    pub fn reconstruction(&self, rows: usize) -> Result<Graph> {
        let mut g = Graph::new(self.layout.clone());
        let x = g.input("x", Shape::new(rows, self.config.features));
        let posterior = self.encoder.apply(&mut g, x, Activation::Identity)?; // [rows, 2 latent]
        let first = SliceColumns { start: 0, count: self.config.latent };
        let z = g.apply(first.into(), &[posterior])?; // [rows, latent]
        let mean = self.decoder.apply(&mut g, z, Activation::Sigmoid)?; // [rows, features]
        g.output("latent", z);
        g.output("mean", mean);
        Ok(g)
    }

    /// Output `mean` `[rows, features]`, decoded from draws of the prior N(0, I).
    pub fn sampling(&self, rows: usize) -> Result<Graph> {
        let mut g = Graph::new(self.layout.clone());
        let prior = Normal { stream: Stream::Prior, shape: Shape::new(rows, self.config.latent) };
        let z = g.apply(prior.into(), &[])?; // [rows, latent]
        let mean = self.decoder.apply(&mut g, z, Activation::Sigmoid)?; // [rows, features]
        g.output("mean", mean);
        Ok(g)
    }

    /// The loss of one batch, recorded with its two terms.
    #[allow(clippy::too_many_arguments, reason = "what distinguishes training from evaluation")]
    fn losses(
        &self,
        g: &mut Graph,
        data: usize,
        examples: usize,
        batch: usize,
        shuffled: bool,
        pixels: Pixels,
        noise: Stream,
    ) -> Result<NodeId> {
        let data = g.dataset(data, Shape::new(examples, self.config.features));
        let x = g.gather(data, batch, shuffled, pixels)?; // [batch, features]
        let posterior = self.encoder.apply(g, x, Activation::Identity)?; // [batch, 2 latent]
        let z = g.reparameterise(posterior, noise)?; // [batch, latent]
        let reconstructions = match self.config.loss {
            Loss::Bce => {
                let logits = self.decoder.apply(g, z, Activation::Identity)?; // [batch, features]
                g.apply(BceLogits.into(), &[logits, x])?
            }
            Loss::Mse => {
                let y = self.decoder.apply(g, z, Activation::Sigmoid)?; // [batch, features]
                g.apply(SquaredError.into(), &[y, x])?
            }
        }; // [batch, 1]
        let divergences = g.apply(Kl.into(), &[posterior])?; // [batch, 1]
        let reconstruction = g.apply(BatchMean.into(), &[reconstructions])?; // [1, 1]
        let kl = g.apply(BatchMean.into(), &[divergences])?; // [1, 1]
        let loss = g.add_scaled(reconstruction, kl, Factor::Beta)?; // [1, 1]
        g.record([loss, reconstruction, kl])?;
        Ok(loss)
    }
}
