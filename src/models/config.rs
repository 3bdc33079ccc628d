//! What an architecture and its objective are told.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::choices::{Condition, Deviation, Initial, Loss, Output, Penalty, Prior, Variance};
use super::layer::{LARGEST, Layer};
use super::network::Layers;
use super::{Capability, ModelKind};
use crate::error::{Error, Result};
use crate::ops::Activation;
use crate::tensor::Shape;

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
    /// The prior of latents.
    #[serde(default)]
    pub prior: Prior,
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
    /// What the reconstruction term is to come to, by the weight of the KL term; none where that weight is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// What is known of an example besides its image: every network is given it beside its input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
}

/// Whether an option has other values in two architectures.
type Differs = fn(&ModelConfig, &ModelConfig) -> bool;

/// Options that not every model has, each with the capability of those that have it.
const NEEDS: [(&str, Capability, Differs); 9] = [
    ("beta", Capability::WeightedKl, |a, b| a.target != b.target),
    ("prior", Capability::Posterior, |a, b| a.prior != b.prior),
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
            prior: Prior::Normal,
            loss: Loss::Bce,
            variance: Variance::Learned,
            output: Output::Sigmoid,
            deviation: Deviation::Logvar,
            init: Initial::Linear,
            samples: 1,
            free_bits: 0.0,
            penalty: None,
            contraction: 0.1,
            target: None,
            condition: None,
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
        self.condition.map_or(Ok(()), |condition| in_range("the classes of --condition", condition.width()))?;
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
        if let Prior::Vamp(_) = self.prior {
            let norm = self.encoder.iter().position(Layer::is_batch_norm);
            let beside = [
                (self.free_bits > 0.0, "--free-bits, whose divergence is by dimension".to_owned()),
                (self.condition.is_some(), "--condition: pseudo-inputs have no label".to_owned()),
                (norm.is_some(), "batch norm in the encoder: pseudo-inputs are no batch of the data".to_owned()),
            ];
            if let Some((_, what)) = beside.into_iter().find(|(found, _)| *found) {
                return Err(Error::Usage(format!("--prior {} does not go with {what}", self.prior)));
            }
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

    /// Values of an example's condition; 0 where there is none.
    pub fn condition_width(&self) -> usize {
        self.condition.map_or(0, Condition::width)
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
            condition: self.condition_width(),
            layers: &self.encoder,
            output: Shape::of([out]),
        }
    }

    /// The network from the latent to an image.
    pub(super) fn decoder<'c>(&'c self, name: &'c str) -> Layers<'c> {
        let (input, output) = (Shape::of([self.latent]), Shape::of(self.image));
        let condition = self.condition_width();
        Layers { name, option: "decoder", input, condition, layers: &self.decoder, output }
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
