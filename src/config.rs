//! What a training run is told: defaults, then a TOML file, then flags; written back into the run's folder.

use crate::error::{Error, Result};
use crate::models::{Loss, ModelConfig};
use crate::ops::{Activation, Pixels};
use crate::rng::Stream;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What becomes of grey pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Binarise {
    /// They stay grey, in [0, 1].
    None,
    /// 1 from 128 on, else 0.
    Threshold,
    /// 1 with the pixel's brightness as probability, drawn anew at every step.
    Bernoulli,
}

/// Everything needed to run again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Sizes of the encoder's hidden layers; the decoder has them in reverse.
    pub hidden: Vec<usize>,
    /// Dimensions of the latent.
    pub latent: usize,
    /// What follows each hidden layer.
    pub activation: Activation,
    /// What a reconstruction is scored by.
    pub loss: Loss,
    /// Weight of the KL term.
    pub beta: f64,
    /// Images a step.
    pub batch_size: usize,
    /// Passes over the training images.
    pub epochs: u64,
    /// Adam's learning rate.
    pub lr: f64,
    /// What every draw of the run depends on.
    pub seed: u32,
    /// What becomes of grey pixels.
    pub binarise: Binarise,
    /// A folder with the four IDX files; the embedded MNIST where there is none.
    pub data: Option<PathBuf>,
    /// auto, cpu, gpu, an adapter's index or a part of its name.
    pub device: String,
}

impl Default for TrainConfig {
    fn default() -> TrainConfig {
        TrainConfig {
            hidden: vec![400],
            latent: 20,
            activation: Activation::Relu,
            loss: Loss::Bce,
            beta: 1.0,
            batch_size: 128,
            epochs: 10,
            lr: 1e-3,
            seed: 0,
            binarise: Binarise::None,
            data: None,
            device: "auto".to_owned(),
        }
    }
}

impl TrainConfig {
    /// Reads a TOML file; what it leaves out has its default.
    ///
    /// # Errors
    /// Where the file cannot be read, or holds an unknown key or a wrong value; the message names the line.
    pub fn load(path: &Path) -> Result<TrainConfig> {
        let text = std::fs::read_to_string(path).map_err(Error::io("reading", path))?;
        toml::from_str(&text).map_err(|error| Error::format(path, error.to_string()))
    }

    /// The file that [`TrainConfig::load`] reads back.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| Error::Usage(format!("the configuration cannot be written: {error}")))
    }

    /// Checks every rule that does not depend on the data.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the option, what was found and what is allowed.
    pub fn validate(&self) -> Result<()> {
        let rule = |holds: bool, option: &str, found: String, allowed: &str| match holds {
            true => Ok(()),
            false => Err(Error::Usage(format!("{option} is {found}: it must be {allowed}"))),
        };
        let sizes = !self.hidden.is_empty() && !self.hidden.contains(&0);
        rule(
            sizes,
            "--hidden",
            format!("{:?}", self.hidden),
            "one or more sizes, each at least 1, like 400 or 512,256",
        )?;
        rule(self.latent >= 1, "--latent", self.latent.to_string(), "at least 1")?;
        rule(self.batch_size >= 1, "--batch-size", self.batch_size.to_string(), "at least 1")?;
        rule(self.epochs >= 1, "--epochs", self.epochs.to_string(), "at least 1")?;
        rule(self.lr.is_finite() && self.lr > 0.0, "--lr", self.lr.to_string(), "a number above 0")?;
        rule(self.beta.is_finite() && self.beta >= 0.0, "--beta", self.beta.to_string(), "a number, 0 or above")
    }

    /// The architecture, for images of `features` pixels.
    pub fn model(&self, features: usize) -> ModelConfig {
        let (hidden, latent, activation, loss) = (self.hidden.clone(), self.latent, self.activation, self.loss);
        ModelConfig { features, hidden, latent, activation, loss }
    }

    /// What the training batches read.
    pub fn pixels(&self) -> Pixels {
        match self.binarise {
            Binarise::None => Pixels::Grey,
            Binarise::Threshold => Pixels::Threshold,
            Binarise::Bernoulli => Pixels::Bernoulli(Stream::Pixels),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_survives_toml() {
        let config = TrainConfig { hidden: vec![5, 3], seed: u32::MAX, beta: 0.1, ..TrainConfig::default() };
        let text = config.to_toml().unwrap();
        assert_eq!(toml::from_str::<TrainConfig>(&text).unwrap(), config);
        assert!(toml::from_str::<TrainConfig>("latnet = 3").is_err());
    }

    #[test]
    fn every_rule_names_its_option() {
        let base = TrainConfig::default();
        assert!(base.validate().is_ok());
        let wrong = [
            ("--hidden", TrainConfig { hidden: vec![], ..base.clone() }),
            ("--hidden", TrainConfig { hidden: vec![4, 0], ..base.clone() }),
            ("--latent", TrainConfig { latent: 0, ..base.clone() }),
            ("--batch-size", TrainConfig { batch_size: 0, ..base.clone() }),
            ("--epochs", TrainConfig { epochs: 0, ..base.clone() }),
            ("--lr", TrainConfig { lr: f64::NAN, ..base.clone() }),
            ("--beta", TrainConfig { beta: -1.0, ..base.clone() }),
        ];
        for (option, config) in wrong {
            let message = config.validate().unwrap_err().to_string();
            assert!(message.starts_with(option), "{message}");
        }
    }
}
