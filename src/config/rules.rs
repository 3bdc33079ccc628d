//! What a configuration may hold, and what a resumed run must keep.

use super::{Binarise, TrainConfig};
use crate::config::BetaSchedule;
use crate::error::{Error, Result};
use crate::models::Capability;
use crate::ops::Noise;

/// What may change when a run is resumed: keys of the configuration.
const MAY_CHANGE: [&str; 8] =
    ["epochs", "patience", "lr", "clip-norm", "device", "data", "test-data", "resident-limit"];

impl TrainConfig {
    /// Checks every rule that does not depend on the data.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the option, what was found and what is allowed.
    pub fn validate(&self) -> Result<()> {
        let rule = |holds: bool, option: &str, found: String, allowed: &str| match holds {
            true => Ok(()),
            false => Err(Error::Usage(format!("{option} is {found}: it must be {allowed}"))),
        };
        let positive =
            |option, value: f64| rule(value.is_finite() && value > 0.0, option, value.to_string(), "a number above 0");
        let from_zero = |option, value: f64| {
            rule(value.is_finite() && value >= 0.0, option, value.to_string(), "a number, 0 or above")
        };
        let fraction =
            |option, value: f64| rule((0.0..1.0).contains(&value), option, value.to_string(), "0 or above and below 1");
        let count = |option, value: u64| rule(value >= 1, option, value.to_string(), "at least 1");
        count("--batch-size", self.batch_size as u64)?;
        count("--epochs", self.epochs)?;
        positive("--lr", self.lr)?;
        from_zero("--beta", self.beta)?;
        fraction("--adam-beta1", self.adam_beta1)?;
        fraction("--adam-beta2", self.adam_beta2)?;
        positive("--adam-epsilon", self.adam_epsilon)?;
        from_zero("--weight-decay", self.weight_decay)?;
        self.clip_norm.map_or(Ok(()), |norm| positive("--clip-norm", norm))?;
        self.patience.map_or(Ok(()), |patience| count("--patience", patience))?;
        self.resident_limit.map_or(Ok(()), |limit| count("--resident-limit", limit))?;
        self.split.map_or(Ok(()), |split| {
            rule(split > 0.0 && split < 1.0, "--split", split.to_string(), "above 0 and below 1")
        })?;
        match self.noise {
            Some(Noise::Gaussian { deviation }) => positive("--noise gaussian", deviation)?,
            Some(Noise::Mask { fraction: share }) => {
                rule(share > 0.0 && share < 1.0, "--noise mask", share.to_string(), "above 0 and below 1")?;
            }
            None => {}
        }
        self.architecture(1).validate()?;
        self.belongs()
    }

    /// Options of training that not every model has.
    fn belongs(&self) -> Result<()> {
        use Capability::{Encoder, RankingLoss, WeightedKl};
        let options = [
            ("--beta", self.beta != 1.0, WeightedKl),
            ("--beta-schedule", self.beta_schedule != BetaSchedule::Constant, WeightedKl),
            ("--noise", self.noise.is_some(), Encoder),
            ("--patience", self.patience.is_some(), RankingLoss),
            ("--bias-from-mean", self.bias_from_mean, Encoder),
        ];
        let mut given = options.into_iter().filter(|(_, given, _)| *given);
        given.try_for_each(|(option, _, capability)| self.model.check_option(option, capability))
    }

    /// Checks that `changed` keeps all that a resumed run must keep: everything but epochs, patience, device, data, and
    /// what a run whose numbers went wrong needs: the rate and the norm that gradients are clipped to.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the first flag that differs, with both values.
    pub fn check_resumable(&self, changed: &TrainConfig) -> Result<()> {
        let (ours, theirs) = (self.to_table()?, changed.to_table()?);
        let shown = |value: Option<&toml::Value>| value.map_or("no value".to_owned(), toml::Value::to_string);
        let keys = ours.keys().chain(theirs.keys()).filter(|key| !MAY_CHANGE.contains(&key.as_str()));
        for key in keys {
            let (ours, theirs) = (ours.get(key), theirs.get(key));
            if ours != theirs {
                return Err(Error::Usage(format!(
                    "--{key} {} contradicts the run that is resumed, which has {}: only --{} and --no-fuse may change",
                    shown(theirs),
                    shown(ours),
                    MAY_CHANGE.join(", --")
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
            ("--encoder", TrainConfig { hidden: vec![4, 0], ..base.clone() }),
            ("--encoder", TrainConfig { hidden: vec![1; 1001], ..base.clone() }),
            ("--decoder", TrainConfig { decoder: Some(vec![usize::MAX]), ..base.clone() }),
            ("--latent", TrainConfig { latent: 0, ..base.clone() }),
            ("--batch-size", TrainConfig { batch_size: 0, ..base.clone() }),
            ("--epochs", TrainConfig { epochs: 0, ..base.clone() }),
            ("--lr", TrainConfig { lr: f64::NAN, ..base.clone() }),
            ("--beta", TrainConfig { beta: -1.0, ..base.clone() }),
            ("--beta", TrainConfig { beta: f64::NAN, ..base.clone() }),
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
            ("--beta", TrainConfig { beta: 4.0, ..ae.clone() }),
            ("--penalty", TrainConfig { penalty: Some("l1:1".parse().unwrap()), ..base.clone() }),
            ("--noise", TrainConfig { noise: Some(Noise::Mask { fraction: 0.5 }), ..gan.clone() }),
            ("--loss", TrainConfig { loss: crate::models::Loss::Mse, ..gan }),
            ("--output", TrainConfig { output: crate::models::Output::Identity, ..base }),
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
