//! The models: each is builder calls on a [`Graph`](crate::graph::Graph), nothing else. No model names a kernel.

mod mlp;
mod vae;

pub use vae::Vae;

use crate::ops::Activation;
use serde::{Deserialize, Serialize};

/// What a reconstruction is scored by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Binary cross-entropy of the decoder's logits, summed over pixels, in nats.
    Bce,
    /// Squared error of the decoder's sigmoid output, summed over pixels.
    Mse,
}

/// A model's architecture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ModelConfig {
    /// Pixels of an image.
    pub features: usize,
    /// Sizes of the encoder's hidden layers, from the image on; the decoder has them in reverse.
    pub hidden: Vec<usize>,
    /// Dimensions of the latent.
    pub latent: usize,
    /// What follows each hidden layer.
    pub activation: Activation,
    /// What a reconstruction is scored by.
    pub loss: Loss,
}
