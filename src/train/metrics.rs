//! Losses, and their means over the steps of an epoch.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::backend::Metrics;
use crate::error::{Error, Result};
use crate::ops::METRICS;

/// Named means over images, in nats an image where the model's likelihood is in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Losses {
    /// The names: [`crate::models::Model::terms`]. The first is what training minimises.
    pub terms: [&'static str; METRICS],
    /// The means.
    pub values: Metrics,
}

impl Losses {
    /// What training minimises.
    pub fn loss(&self) -> f64 {
        self.values[0]
    }

    /// Names and values.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, f64)> {
        self.terms.into_iter().zip(self.values)
    }

    /// Names with a prefix, and values: what a metrics line holds.
    pub(super) fn named(&self, prefix: &str) -> BTreeMap<String, f64> {
        self.pairs().map(|(term, value)| (format!("{prefix}{term}"), value)).collect()
    }

    /// # Errors
    /// [`Error::NonFinite`] that names the place and the first term that is not finite, the loss last.
    pub(super) fn check_finite(&self, place: impl Fn() -> String) -> Result<()> {
        let mut pairs: Vec<_> = self.pairs().collect();
        pairs.rotate_left(1);
        match pairs.into_iter().find(|(_, value)| !value.is_finite()) {
            None => Ok(()),
            Some((term, value)) => Err(Error::NonFinite(format!(
                "{}: {term} is {value}, it must be finite; the last checkpoint is as it was",
                place()
            ))),
        }
    }
}

/// A mean of steps weighted by their rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Mean {
    steps: u64,
    sums: Metrics,
    rows: f64,
}

impl Mean {
    pub(super) fn add(&mut self, step: &Metrics, rows: u32) {
        for (sum, value) in self.sums.iter_mut().zip(step) {
            *sum += value * f64::from(rows);
        }
        self.steps += 1;
        self.rows += f64::from(rows);
    }

    /// Steps it is of.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// Whether it is one of finite numbers.
    pub(super) fn is_finite(&self) -> bool {
        self.sums.iter().chain([&self.rows]).all(|value| value.is_finite()) && self.rows >= 0.0
    }

    pub(super) fn losses(&self, terms: [&'static str; METRICS]) -> Losses {
        Losses { terms, values: self.sums.map(|sum| sum / self.rows.max(1.0)) }
    }
}

/// A JSON object a line.
pub(super) fn json_lines<T: Serialize>(path: &Path, lines: &[T]) -> Result<String> {
    let mut text = String::new();
    for line in lines {
        text += &serde_json::to_string(line).map_err(|error| Error::format(path, error.to_string()))?;
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: [&str; METRICS] = ["loss", "recon", "kl"];

    #[test]
    fn means_weigh_steps_by_rows() {
        let mut mean = Mean::default();
        mean.add(&[3.0, 2.0, 1.0], 3);
        mean.add(&[7.0, 6.0, 1.0], 1);
        assert_eq!(mean.losses(TERMS).values, [4.0, 3.0, 1.0]);
    }

    #[test]
    fn what_is_not_finite_is_named() {
        let losses = |values| Losses { terms: TERMS, values };
        assert!(losses([1.0, 2.0, 3.0]).check_finite(String::new).is_ok());
        let message =
            losses([f64::NAN, f64::INFINITY, 1.0]).check_finite(|| "step 3".to_owned()).unwrap_err().to_string();
        assert!(message.starts_with("step 3: recon is inf"), "{message}");
    }
}
