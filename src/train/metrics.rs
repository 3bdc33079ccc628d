//! Losses, and their means over the steps of an epoch.

use std::path::Path;

use serde::Serialize;

use super::run::EpochMetrics;
use crate::backend::Metrics;
use crate::error::{Error, Result};

/// Losses in nats an image.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Losses {
    /// Reconstruction + beta KL.
    pub loss: f64,
    /// Reconstruction.
    pub recon: f64,
    /// KL from the posterior to the prior.
    pub kl: f64,
}

/// A mean of steps weighted by their rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    sums: Metrics,
    rows: f64,
}

impl Mean {
    pub(super) fn add(&mut self, step: &Metrics, rows: u32) {
        for (sum, value) in self.sums.iter_mut().zip(step) {
            *sum += value * f64::from(rows);
        }
        self.rows += f64::from(rows);
    }

    pub(super) fn losses(&self) -> Losses {
        let [loss, recon, kl] = self.sums.map(|sum| sum / self.rows.max(1.0));
        Losses { loss, recon, kl }
    }
}

impl EpochMetrics {
    /// The training losses.
    pub fn train(&self) -> Losses {
        Losses { loss: self.train_loss, recon: self.train_recon, kl: self.train_kl }
    }

    /// The test losses.
    pub fn test(&self) -> Losses {
        Losses { loss: self.test_loss, recon: self.test_recon, kl: self.test_kl }
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

    #[test]
    fn means_weigh_steps_by_rows() {
        let mut mean = Mean::default();
        mean.add(&[3.0, 2.0, 1.0], 3);
        mean.add(&[7.0, 6.0, 1.0], 1);
        assert_eq!(mean.losses(), Losses { loss: 4.0, recon: 3.0, kl: 1.0 });
    }
}
