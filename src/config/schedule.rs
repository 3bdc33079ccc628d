//! Schedules of the learning rate and of beta, computed on the host in f64 for each step.

use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Position of a step in its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The step, from 0.
    pub step: u64,
    /// Steps an epoch.
    pub steps_an_epoch: u64,
    /// Epochs of the whole run.
    pub epochs: u64,
}

impl Progress {
    fn epoch(self) -> u64 {
        self.step / self.steps_an_epoch.max(1)
    }

    /// Fraction of the run that is done before this step.
    fn share(self) -> f64 {
        self.step as f64 / (self.steps_an_epoch as f64 * self.epochs as f64).max(1.0)
    }
}

/// Schedule of the learning rate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RateSchedule {
    /// One rate throughout.
    #[default]
    Constant,
    /// Half a cosine from the rate to 0 over the run (Loshchilov and Hutter 2017, without restarts).
    Cosine,
    /// Multiplied by `factor` after each of these epochs.
    Steps {
        /// Epochs done, rising.
        epochs: Vec<u64>,
        /// Factor of the rate at each.
        factor: f64,
    },
}

impl RateSchedule {
    /// Factor of the rate at a step.
    pub fn factor(&self, at: Progress) -> f64 {
        match self {
            RateSchedule::Constant => 1.0,
            RateSchedule::Cosine => 0.5 * (1.0 + (PI * at.share().min(1.0)).cos()),
            RateSchedule::Steps { epochs, factor } => {
                let passed = epochs.iter().filter(|epoch| at.epoch() >= **epoch).count();
                factor.powi(passed as i32)
            }
        }
    }

    /// Whether the rate of a step depends on how long the run will be.
    pub fn needs_length(&self) -> bool {
        *self == RateSchedule::Cosine
    }
}

impl FromStr for RateSchedule {
    type Err = String;
    fn from_str(text: &str) -> Result<RateSchedule, String> {
        let steps = |text: &str| {
            let (epochs, factor) = text.split_once(':')?;
            let epochs: Vec<u64> = epochs.split(',').map(|epoch| epoch.parse().ok()).collect::<Option<_>>()?;
            let factor: f64 = factor.parse().ok()?;
            let rising = epochs.windows(2).all(|pair| pair[0] < pair[1]) && epochs.first()? > &0;
            (rising && factor > 0.0 && factor.is_finite()).then_some(RateSchedule::Steps { epochs, factor })
        };
        let found = match (text, text.strip_prefix("steps:")) {
            ("constant", _) => Some(RateSchedule::Constant),
            ("cosine", _) => Some(RateSchedule::Cosine),
            (_, Some(rest)) => steps(rest),
            _ => None,
        };
        found.ok_or_else(|| {
            format!(
                "{text:?} is no schedule: give constant, cosine, or steps:EPOCH,EPOCH,...:FACTOR as in steps:30,60:0.1"
            )
        })
    }
}

impl fmt::Display for RateSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RateSchedule::Constant => write!(f, "constant"),
            RateSchedule::Cosine => write!(f, "cosine"),
            RateSchedule::Steps { epochs, factor } => {
                let epochs: Vec<String> = epochs.iter().map(u64::to_string).collect();
                write!(f, "steps:{}:{factor}", epochs.join(","))
            }
        }
    }
}

/// Schedule of beta.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum BetaSchedule {
    /// One beta throughout.
    #[default]
    Constant,
    /// It rises from 0 over the first epochs (Bowman et al. 2016; Sønderby et al. 2016).
    Linear {
        /// Epochs of the rise.
        epochs: u64,
    },
    /// The run has this many cycles, in each of which beta rises from 0 in the first half and stays in the second (Fu et
    /// al. 2019).
    Cyclical {
        /// Number of cycles.
        cycles: u64,
    },
}

impl BetaSchedule {
    /// Factor of beta at a step.
    pub fn factor(self, at: Progress) -> f64 {
        match self {
            BetaSchedule::Constant => 1.0,
            BetaSchedule::Linear { epochs } => (at.step as f64 / (epochs * at.steps_an_epoch).max(1) as f64).min(1.0),
            BetaSchedule::Cyclical { cycles } => ((at.share() * cycles as f64).fract() * 2.0).min(1.0),
        }
    }

    /// Whether the beta of a step depends on how long the run will be.
    pub fn needs_length(self) -> bool {
        matches!(self, BetaSchedule::Cyclical { .. })
    }
}

impl FromStr for BetaSchedule {
    type Err = String;
    fn from_str(text: &str) -> Result<BetaSchedule, String> {
        let number = |text: &str| text.parse::<u64>().ok().filter(|number| (1..=1_000_000).contains(number));
        let found = match text.split_once(':') {
            None if text == "constant" => Some(BetaSchedule::Constant),
            Some(("linear", epochs)) => number(epochs).map(|epochs| BetaSchedule::Linear { epochs }),
            Some(("cyclical", cycles)) => number(cycles).map(|cycles| BetaSchedule::Cyclical { cycles }),
            _ => None,
        };
        found.ok_or_else(|| {
            format!("{text:?} is no schedule: give constant, linear:EPOCHS or cyclical:CYCLES, from 1 to 1000000")
        })
    }
}

impl fmt::Display for BetaSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BetaSchedule::Constant => write!(f, "constant"),
            BetaSchedule::Linear { epochs } => write!(f, "linear:{epochs}"),
            BetaSchedule::Cyclical { cycles } => write!(f, "cyclical:{cycles}"),
        }
    }
}

/// Conversions from and to the text of a flag or a key.
macro_rules! as_text {
    ($($kind:ty),+) => { $(
        impl TryFrom<String> for $kind {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> { text.parse() }
        }
        impl From<$kind> for String {
            fn from(value: $kind) -> String { value.to_string() }
        }
    )+ };
}
as_text!(
    RateSchedule,
    BetaSchedule,
    crate::ops::Noise,
    crate::ops::Augmentation,
    crate::models::Penalty,
    crate::models::Prior
);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(step: u64) -> Progress {
        Progress { step, steps_an_epoch: 10, epochs: 4 }
    }

    #[test]
    fn rates_follow_their_schedules() {
        assert_eq!(RateSchedule::Constant.factor(at(39)), 1.0);
        assert_eq!([0, 20, 40].map(|step| RateSchedule::Cosine.factor(at(step))), [1.0, 0.5, 0.0]);
        let endless = Progress { epochs: 1 << 63, ..at(39) };
        assert_eq!(RateSchedule::Cosine.factor(endless), 1.0);
        let steps: RateSchedule = "steps:1,3:0.5".parse().unwrap();
        assert_eq!([0, 9, 10, 29, 30].map(|step| steps.factor(at(step))), [1.0, 1.0, 0.5, 0.5, 0.25]);
    }

    #[test]
    fn betas_follow_their_schedules() {
        let linear: BetaSchedule = "linear:2".parse().unwrap();
        assert_eq!([0, 10, 20, 30].map(|step| linear.factor(at(step))), [0.0, 0.5, 1.0, 1.0]);
        let cyclical: BetaSchedule = "cyclical:2".parse().unwrap();
        assert_eq!([0, 5, 10, 15, 20, 25].map(|step| cyclical.factor(at(step))), [0.0, 0.5, 1.0, 1.0, 0.0, 0.5]);
    }

    #[test]
    fn text_that_is_no_schedule_is_refused() {
        for text in ["", "cos", "steps:", "steps:3,2:0.1", "steps:0:0.1", "steps:1:-1", "steps:1:nan", "steps:1"] {
            assert!(text.parse::<RateSchedule>().unwrap_err().contains("steps:EPOCH"), "{text}");
        }
        for text in ["", "linear", "linear:0", "cyclical:x", "cyclical:-1"] {
            assert!(text.parse::<BetaSchedule>().unwrap_err().contains("cyclical:CYCLES"), "{text}");
        }
        for text in ["constant", "cosine", "steps:1,4:0.5"] {
            assert_eq!(text.parse::<RateSchedule>().unwrap().to_string(), text);
        }
    }
}
