//! What an architecture and its objective are told.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::layer::{LARGEST, Layer};
use super::network::Layers;
use super::{Capability, ModelKind};
use crate::error::{Error, Result};
use crate::ops::{Activation, Norm};
use crate::tensor::Shape;

/// Reconstruction loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Binary cross-entropy of the decoder's logits, summed over pixels, in nats
    Bce,
    /// Negative log-density, in nats, of a continuous Bernoulli of the decoder's logits: bce with its normaliser, for grey values in
    /// [0, 1] (Loaiza-Ganem and Cunningham 2019)
    ContinuousBernoulli,
    /// Squared error of the decoder's output, summed over pixels (half of it for `collapsed`)
    Mse,
    /// Negative log-likelihood, in nats, of a Gaussian of one variance, see --variance
    Gaussian,
    /// Negative log-probability, in nats, of a byte's level by a logistic with one learned scale, so that `eval` gives bits per
    /// dimension (Kingma et al. 2016)
    DiscretisedLogistic,
}

impl Loss {
    /// Whether it is a normalised negative log-likelihood.
    pub fn is_likelihood(self) -> bool {
        self != Loss::Mse
    }

    /// Whether it reads logits, and takes values in [0, 1] alone.
    pub fn reads_logits(self) -> bool {
        matches!(self, Loss::Bce | Loss::ContinuousBernoulli)
    }

    /// Its name, as `--loss` takes it.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The names of those that are likelihoods: `bce, gaussian`.
    pub(crate) fn likelihoods() -> String {
        let names: Vec<String> =
            Loss::value_variants().iter().filter(|loss| loss.is_likelihood()).map(|loss| loss.name()).collect();
        names.join(", ")
    }
}

/// Range of the decoder's output, where the loss does not read logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// In (0, 1), for pixels
    Sigmoid,
    /// Any number, for real-valued data
    Identity,
}

impl Output {
    pub(super) fn activation(self) -> Activation {
        match self {
            Output::Sigmoid => Activation::Sigmoid,
            Output::Identity => Activation::Identity,
        }
    }
}

/// Parameterisation of the posterior's standard deviation by the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Deviation {
    /// The log-variance of the posterior
    Logvar,
    /// The deviation of the posterior before a softplus
    Softplus,
}

/// The variance of a Gaussian decoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Variance {
    /// Learned with the weights
    #[default]
    Learned,
    /// The best of each batch in training, and their moving average in evaluation: no beta to tune (Rybkin et al. 2021)
    Optimal,
}

/// Initialisation of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Initial {
    /// PyTorch's nn.Linear: weights and biases uniform in ±1/sqrt(inputs)
    Linear,
    /// Weights uniform in ±sqrt(6 / (inputs + outputs)), biases 0 (Glorot and Bengio 2010)
    Glorot,
}

/// A penalty on a code or an output: `weight * sum |x|` or `weight * sum x^2`, a mean over the batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Penalty {
    /// L1 or the square of L2.
    pub norm: Norm,
    /// Factor of the norm.
    pub weight: f64,
}

impl FromStr for Penalty {
    type Err = String;
    fn from_str(text: &str) -> Result<Penalty, String> {
        let read = || {
            let (norm, weight) = text.split_once(':')?;
            let norm = match norm {
                "l1" => Norm::L1,
                "l2" => Norm::L2,
                _ => return None,
            };
            let weight: f64 = weight.parse().ok()?;
            (weight.is_finite() && weight > 0.0).then_some(Penalty { norm, weight })
        };
        read().ok_or_else(|| format!("{text:?} is no penalty: give l1:WEIGHT or l2:WEIGHT, the weight above 0"))
    }
}

impl fmt::Display for Penalty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let norm = match self.norm {
            Norm::L1 => "l1",
            Norm::L2 => "l2",
        };
        write!(f, "{norm}:{}", self.weight)
    }
}

/// A model's architecture and objective: all that its graphs depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ModelConfig {
    /// Kind of model.
    pub model: ModelKind,
    /// Height, width and channels of an image; a table's rows are images of one line.
    pub image: [usize; 3],
    /// The encoder's (the discriminator's) layers, from the image on, but for the last, which is dense.
    pub encoder: Vec<Layer>,
    /// The decoder's (the generator's) layers, from the latent on; where the last does not give images, a dense one follows.
    pub decoder: Vec<Layer>,
    /// Dimensions of the latent.
    pub latent: usize,
    /// Activation of a code without noise.
    pub code_activation: Activation,
    /// Reconstruction loss.
    pub loss: Loss,
    /// The variance of the decoder of [`Loss::Gaussian`].
    #[serde(default)]
    pub variance: Variance,
    /// Range of the decoder's output.
    pub output: Output,
    /// Parameterisation of the posterior's standard deviation.
    pub deviation: Deviation,
    /// Initialisation of weights.
    pub init: Initial,
    /// Posterior samples an image.
    pub samples: usize,
    /// Free bits: nats a latent dimension below which the KL term is not lowered; 0 for none.
    pub free_bits: f64,
    /// Penalty on the code, or on a generator's output.
    pub penalty: Option<Penalty>,
    /// Weight of the encoder's squared Jacobian.
    pub contraction: f64,
}

/// Whether an option has other values in two architectures.
type Differs = fn(&ModelConfig, &ModelConfig) -> bool;

/// Options that not every model has, each with the capability of those that have it.
const NEEDS: [(&str, Capability, Differs); 7] = [
    ("samples", Capability::ImportanceSamples, |a, b| a.samples != b.samples),
    ("free-bits", Capability::WeightedKl, |a, b| a.free_bits != b.free_bits),
    ("penalty", Capability::Penalty, |a, b| a.penalty != b.penalty),
    ("contraction", Capability::JacobianPenalty, |a, b| a.contraction != b.contraction),
    ("deviation", Capability::Posterior, |a, b| a.deviation != b.deviation),
    ("code-activation", Capability::PointCode, |a, b| a.code_activation != b.code_activation),
    ("loss", Capability::Encoder, |a, b| a.loss != b.loss),
];

impl ModelConfig {
    /// The default VAE, 784-400-20-400-784, for images of `features` pixels.
    pub fn vae(features: usize) -> ModelConfig {
        ModelConfig {
            model: ModelKind::Vae,
            image: [1, 1, features],
            encoder: Layer::dense(&[400], Activation::Relu),
            decoder: Layer::dense(&[400], Activation::Relu),
            latent: 20,
            code_activation: Activation::Identity,
            loss: Loss::Bce,
            variance: Variance::Learned,
            output: Output::Sigmoid,
            deviation: Deviation::Logvar,
            init: Initial::Linear,
            samples: 1,
            free_bits: 0.0,
            penalty: None,
            contraction: 0.1,
        }
    }

    /// Checks sizes, ranges, and that each option given belongs to the model.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the option, what was found and what is allowed.
    pub fn validate(&self) -> Result<()> {
        in_range("--latent", self.latent)?;
        let features = self.image.iter().try_fold(1_usize, |product, &extent| product.checked_mul(extent));
        in_range("features", features.unwrap_or(usize::MAX))?;
        self.encoder("encoder", 2 * self.latent).whole()?;
        self.decoder("decoder").whole()?;
        self.check_options()
    }

    /// [`ModelConfig::validate`] of all but sizes.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn check_options(&self) -> Result<()> {
        let bad = |option: &str, found: &dyn fmt::Display, allowed: &str| {
            Err(Error::Usage(format!("{option} is {found}: it must be {allowed}")))
        };
        if self.samples == 0 || self.samples > 10_000 {
            return bad("--samples", &self.samples, "1 to 10000 samples an image");
        }
        if !(self.free_bits.is_finite() && self.free_bits >= 0.0) {
            return bad("--free-bits", &self.free_bits, "a number of nats, 0 or above");
        }
        if !(self.contraction.is_finite() && self.contraction >= 0.0) {
            return bad("--contraction", &self.contraction, "a number, 0 or above");
        }
        let twice = self.model.has(Capability::JacobianPenalty) && self.contraction > 0.0;
        if let Some(at) = self.encoder.iter().position(|layer| twice && !layer.has_second_derivative()) {
            return Err(Error::Usage(format!(
                "--encoder, layer {}, \"{}\": --model {} differentiates its encoder twice, for which normalisation and maximum \
                 pooling have no rule",
                at + 1,
                self.encoder[at],
                self.model.name()
            )));
        }
        if self.loss.reads_logits() && self.output == Output::Identity && self.model.has(Capability::Encoder) {
            let allowed = format!("sigmoid with --loss {}, whose values lie in [0, 1]", self.loss.name());
            return bad("--output", &"identity", &allowed);
        }
        if self.variance != Variance::Learned && self.loss != Loss::Gaussian {
            return bad("--variance", &"optimal", "learned, or with --loss gaussian: other losses have none");
        }
        self.belongs()
    }

    /// The capability of the models that have an option; none where all have it.
    pub(crate) fn capability(key: &str) -> Option<Capability> {
        NEEDS.iter().find(|(known, ..)| *known == key).map(|(_, capability, _)| *capability)
    }

    /// Options that a model does not have may only hold their default.
    fn belongs(&self) -> Result<()> {
        let default = ModelConfig::vae(1);
        let mut given = NEEDS.iter().filter(|(.., differs)| differs(self, &default));
        given.try_for_each(|(key, capability, _)| self.model.check_option(key, *capability))
    }

    /// Values of an image.
    pub fn features(&self) -> usize {
        self.image.iter().product()
    }

    /// The network from an image to so many values.
    pub(super) fn encoder<'c>(&'c self, name: &'c str, out: usize) -> Layers<'c> {
        Layers {
            name,
            option: "encoder",
            input: Shape::of(self.image),
            layers: &self.encoder,
            output: Shape::of([out]),
        }
    }

    /// The network from the latent to an image.
    pub(super) fn decoder<'c>(&'c self, name: &'c str) -> Layers<'c> {
        let (input, output) = (Shape::of([self.latent]), Shape::of(self.image));
        Layers { name, option: "decoder", input, layers: &self.decoder, output }
    }

    /// Layer sizes of the networks from image to image, `784-400-20-400-784`, convolutions as `c32`; without an encoder from the
    /// latent on, with the discriminator's.
    pub fn sizes(&self) -> String {
        let pixels = self.features().to_string();
        let texts = |layers: &[Layer]| layers.iter().filter_map(Layer::size).collect::<Vec<_>>();
        let (encoder, mut decoder) = (texts(&self.encoder), texts(&self.decoder));
        if !matches!(self.decoder("decoder").whole(), Ok((layers, _)) if layers.len() == self.decoder.len()) {
            decoder.push(pixels.clone());
        }
        let mut text = ModelConfig::sizes_text(self.model, &[vec![pixels], encoder].concat(), self.latent, &decoder);
        if self.model.has(Capability::Discriminator) {
            text += "-1";
        }
        text
    }

    /// Sizes between dashes, from image to image, or from the latent on and then the discriminator's.
    pub(crate) fn sizes_text(model: ModelKind, encoder: &[String], latent: usize, decoder: &[String]) -> String {
        let latent = [latent.to_string()];
        let mut text = match model.has(Capability::Encoder) {
            true => [encoder, &latent, decoder].concat().join("-"),
            false => [&latent, decoder].concat().join("-"),
        };
        if model.has(Capability::Discriminator) {
            text += &format!(", discriminator {}", encoder.join("-"));
        }
        text
    }
}

fn in_range(option: &str, size: usize) -> Result<()> {
    match size {
        1..=LARGEST => Ok(()),
        _ => Err(Error::Usage(format!("{option} holds {size}: a size must be 1 to {LARGEST}"))),
    }
}
