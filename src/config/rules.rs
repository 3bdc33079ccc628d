//! Allowed values of a configuration, and the options that a resumed run must keep.

use std::fmt::Display;

use super::LayerList;
use super::{Beta, BetaSchedule, Binarise, TrainConfig, options};
use crate::error::{Error, Result};
use crate::models::Loss;
use crate::ops::Noise;

/// What an option's check says of its value: where it fails, the end of a sentence that begins with the option's name.
pub(super) type Checked = std::result::Result<(), String>;

fn rule(holds: bool, found: impl Display, allowed: &str) -> Checked {
    if holds { Ok(()) } else { Err(format!("is {found}: it must be {allowed}")) }
}

pub(super) fn above_zero(value: f64) -> Checked {
    rule(value.is_finite() && value > 0.0, value, "a number above 0")
}

pub(super) fn from_zero(value: f64) -> Checked {
    rule(value.is_finite() && value >= 0.0, value, "a number, 0 or above")
}

pub(super) fn below_one(value: f64) -> Checked {
    rule((0.0..1.0).contains(&value), value, "0 or above and below 1")
}

pub(super) fn share(value: f64) -> Checked {
    rule(value > 0.0 && value < 1.0, value, "above 0 and below 1")
}

pub(super) fn at_least_one(value: u64) -> Checked {
    rule(value >= 1, value, "at least 1")
}

pub(super) fn beta(config: &TrainConfig) -> Checked {
    match config.beta {
        Beta::Fixed(beta) => from_zero(beta),
        Beta::Auto { target } if !target.is_finite() => Err(format!("is auto:{target}: the target must be a number")),
        Beta::Auto { .. } if config.beta_schedule != BetaSchedule::Constant => {
            Err("is auto, which moves it: --beta-schedule is for a number".to_owned())
        }
        Beta::Auto { .. } => Ok(()),
    }
}

pub(super) fn noise(noise: Noise) -> Checked {
    match noise {
        Noise::Gaussian { deviation } => above_zero(deviation).map_err(|reason| format!("gaussian {reason}")),
        Noise::Mask { fraction } => share(fraction).map_err(|reason| format!("mask {reason}")),
    }
}

/// Binarised pixels are 0 and 1, of which densities and finer levels say nothing.
pub(super) fn binarised(config: &TrainConfig) -> Checked {
    let why = match config.loss {
        Loss::ContinuousBernoulli => "is a density of grey values: of pixels that are 0 or 1 it grows without bound",
        Loss::DiscretisedLogistic => "is a probability of each of 256 levels: pixels that are 0 or 1 have two",
        Loss::Bce | Loss::Mse | Loss::Gaussian => return Ok(()),
    };
    let loss = config.loss.name();
    let reason = format!("does not go with --loss {loss}, which {why}; --loss bce is for binarised pixels");
    if config.binarise == Binarise::None { Ok(()) } else { Err(reason) }
}

pub(super) fn shards(config: &TrainConfig) -> Checked {
    let (shards, batch) = (config.shards, config.batch_size);
    if shards > 0 && batch.is_multiple_of(shards) {
        return Ok(());
    }
    Err(format!("is {shards}: it must divide --batch-size {batch}, so that all shards are of one size"))
}

/// The check of an optional value.
pub(super) fn if_given<T>(value: Option<T>, check: fn(T) -> Checked) -> Checked {
    value.map_or(Ok(()), check)
}

/// Whether a resumed run may change the option.
pub(crate) fn may_change(key: &str) -> bool {
    options().any(|option| option.may_change && option.key == key)
}

impl TrainConfig {
    /// Checks every rule that does not depend on the data.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the option, what was found and what is allowed.
    pub fn validate(&self) -> Result<()> {
        let default = TrainConfig::default();
        options().try_for_each(|option| option.check(self, &default))?;
        let options = TrainConfig { encoder: Some(LayerList::Sizes(Vec::new())), ..self.clone() };
        match self.is_convolutional() {
            // Whether layers fit is known with the images.
            true => TrainConfig { decoder: options.encoder.clone(), ..options }.architecture([1; 3])?.check_options(),
            false => self.architecture([1; 3])?.validate(),
        }
    }

    /// Checks that `changed` keeps all that a resumed run must keep. Other than epochs, patience, device and data, it may
    /// change the rate and the norm that gradients are clipped to, which a run whose numbers went wrong needs.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the first flag that differs, with both values.
    pub fn check_resumable(&self, changed: &TrainConfig) -> Result<()> {
        let (ours, theirs) = (self.to_table()?, changed.to_table()?);
        let shown = |value: Option<&toml::Value>| value.map_or("no value".to_owned(), toml::Value::to_string);
        let keys = ours.keys().chain(theirs.keys()).filter(|key| !may_change(key));
        for key in keys {
            let (ours, theirs) = (ours.get(key), theirs.get(key));
            if ours != theirs {
                let (theirs, ours) = (shown(theirs), shown(ours));
                let may: Vec<&str> = options().filter(|option| option.may_change).map(|option| option.key).collect();
                return Err(Error::Usage(format!(
                    "--{key} {theirs} contradicts the run that is resumed, which has {ours}: only --{} and --no-fuse may \
                     change",
                    may.join(", --")
                )));
            }
        }
        let needs_length = self.lr_schedule.needs_length() || self.beta_schedule.needs_length();
        if needs_length && self.epochs != changed.epochs {
            return Err(Error::Usage(format!(
                "--epochs {} contradicts the run that is resumed, which has {}: its schedule is laid out over them",
                changed.epochs, self.epochs
            )));
        }
        Ok(())
    }
}

impl Binarise {
    /// A value in [0, 1] as a model is shown it outside training; where training draws it, its expectation. A byte of
    /// 128 counts as one half.
    pub fn shown(self, value: f32) -> f32 {
        match self {
            Binarise::Threshold => f32::from(u8::from(value >= 0.5)),
            Binarise::None | Binarise::Bernoulli => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ModelKind;

    #[test]
    fn every_rule_names_its_option() {
        let base = TrainConfig::default();
        assert!(base.validate().is_ok());
        let gan = TrainConfig { model: ModelKind::Gan, ..base.clone() };
        let ae = TrainConfig { model: ModelKind::Ae, ..base.clone() };
        let wrong = [
            ("--encoder", TrainConfig { hidden: Some(vec![4, 0]), ..base.clone() }),
            ("--encoder", TrainConfig { hidden: Some(vec![1; 1001]), ..base.clone() }),
            ("--decoder", TrainConfig { decoder: Some(LayerList::Sizes(vec![usize::MAX])), ..base.clone() }),
            ("--latent", TrainConfig { latent: 0, ..base.clone() }),
            ("--batch-size", TrainConfig { batch_size: 0, ..base.clone() }),
            ("--shards", TrainConfig { shards: 0, ..base.clone() }),
            ("--shards", TrainConfig { shards: 3, ..base.clone() }),
            ("--shards", TrainConfig { shards: 256, ..base.clone() }),
            ("--epochs", TrainConfig { epochs: 0, ..base.clone() }),
            ("--lr", TrainConfig { lr: f64::NAN, ..base.clone() }),
            ("--beta", TrainConfig { beta: Beta::Fixed(-1.0), ..base.clone() }),
            (
                "--beta",
                TrainConfig {
                    beta: Beta::Auto { target: 1.0 },
                    beta_schedule: "linear:3".parse().unwrap(),
                    ..base.clone()
                },
            ),
            ("--beta", TrainConfig { beta: Beta::Auto { target: 1.0 }, ..ae.clone() }),
            ("--beta", TrainConfig { beta: Beta::Fixed(f64::NAN), ..base.clone() }),
            ("--adam-beta1", TrainConfig { adam_beta1: 1.0, ..base.clone() }),
            ("--adam-epsilon", TrainConfig { adam_epsilon: 0.0, ..base.clone() }),
            ("--weight-decay", TrainConfig { weight_decay: -0.1, ..base.clone() }),
            ("--clip-norm", TrainConfig { clip_norm: Some(0.0), ..base.clone() }),
            ("--patience", TrainConfig { patience: Some(0), ..base.clone() }),
            ("--noise", TrainConfig { noise: Some(Noise::Mask { fraction: 1.0 }), ..base.clone() }),
            ("--noise", TrainConfig { noise: Some(Noise::Gaussian { deviation: -1.0 }), ..base.clone() }),
            ("--samples", TrainConfig { samples: 0, ..base.clone() }),
            ("--samples", TrainConfig { samples: 5, ..base.clone() }),
            ("--free-bits", TrainConfig { free_bits: 0.5, ..ae.clone() }),
            ("--beta", TrainConfig { beta: Beta::Fixed(4.0), ..ae.clone() }),
            ("--penalty", TrainConfig { penalty: Some("l1:1".parse().unwrap()), ..base.clone() }),
            ("--noise", TrainConfig { noise: Some(Noise::Mask { fraction: 0.5 }), ..gan.clone() }),
            ("--loss", TrainConfig { loss: Loss::Mse, ..gan }),
            ("--output", TrainConfig { output: crate::models::Output::Identity, ..base.clone() }),
            (
                "--output",
                TrainConfig {
                    output: crate::models::Output::Identity,
                    loss: Loss::ContinuousBernoulli,
                    ..base.clone()
                },
            ),
            (
                "--binarise",
                TrainConfig { binarise: Binarise::Threshold, loss: Loss::ContinuousBernoulli, ..base.clone() },
            ),
            ("--binarise", TrainConfig { binarise: Binarise::Bernoulli, loss: Loss::DiscretisedLogistic, ..base }),
        ];
        for (option, config) in wrong {
            let message = config.validate().unwrap_err().to_string();
            assert!(message.starts_with(option), "{option}: {message}");
        }
        assert!(ae.validate().is_ok());
    }

    #[test]
    fn a_resumed_run_keeps_what_decides_its_numbers() {
        let base = TrainConfig::default();
        let longer = TrainConfig { epochs: 99, device: "gpu".to_owned(), ..base.clone() };
        assert!(base.check_resumable(&longer).is_ok());
        let error = base.check_resumable(&TrainConfig { latent: 3, ..base.clone() }).unwrap_err().to_string();
        assert!(error.starts_with("--latent 3") && error.contains("20"), "{error}");
        let cosine = TrainConfig { lr_schedule: "cosine".parse().unwrap(), ..base };
        let error = cosine.check_resumable(&TrainConfig { epochs: 99, ..cosine.clone() }).unwrap_err().to_string();
        assert!(error.starts_with("--epochs 99"), "{error}");
    }
}
