//! What options of an architecture and its objective can be: each a value with a name.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::ops::{Activation, Norm};

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

/// What an example is known by besides its image (Sohn, Lee and Yan 2015; Mirza and Osindero 2014 of GANs).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Its class, one of so many: a unit vector.
    Class(usize),
    /// A number.
    Number,
}

impl Condition {
    /// Values that networks read.
    pub fn width(self) -> usize {
        match self {
            Condition::Class(classes) => classes,
            Condition::Number => 1,
        }
    }
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

/// The prior of latents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Prior {
    /// N(0, I).
    #[default]
    Normal,
    /// The mean of the posteriors of so many learned pseudo-inputs (Tomczak and Welling 2018).
    Vamp(usize),
}

impl FromStr for Prior {
    type Err = String;
    fn from_str(text: &str) -> Result<Prior, String> {
        let vamp = || {
            let count = text.strip_prefix("vamp:")?.parse().ok()?;
            (1..=MOST_PSEUDO_INPUTS).contains(&count).then_some(Prior::Vamp(count))
        };
        match text {
            "normal" => Some(Prior::Normal),
            _ => vamp(),
        }
        .ok_or_else(|| {
            format!("{text:?} is no prior: give normal, or vamp:K of K pseudo-inputs, 1 to {MOST_PSEUDO_INPUTS}")
        })
    }
}

impl fmt::Display for Prior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Prior::Normal => f.write_str("normal"),
            Prior::Vamp(count) => write!(f, "vamp:{count}"),
        }
    }
}

/// Pseudo-inputs of a prior at most.
const MOST_PSEUDO_INPUTS: usize = 100_000;
