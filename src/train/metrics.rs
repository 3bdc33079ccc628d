//! Losses, and their means over the steps of an epoch.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::models::Model;
use crate::plan::Plan;

/// The terms of a model's loss, and where the programs of a step record them.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    names: &'static [&'static str],
    columns: Vec<usize>,
}

impl Terms {
    /// Those of a model whose step is these programs.
    pub(super) fn new(model: &Model, programs: &[Plan]) -> Terms {
        let recorded: Vec<&str> = programs.iter().flat_map(|plan| &plan.metrics).copied().collect();
        let column = |term: &&str| recorded.iter().position(|name| name == term).expect("a model records its terms");
        Terms { names: model.terms(), columns: model.terms().iter().map(column).collect() }
    }

    /// Their names.
    pub(super) fn names(&self) -> &'static [&'static str] {
        self.names
    }

    /// The columns of what a step records, a term each.
    pub(super) fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// The terms of what a step recorded.
    pub(super) fn of(&self, row: &[f64]) -> Losses {
        Losses { terms: self.names, values: self.columns.iter().map(|&column| row[column]).collect() }
    }
}

/// Named means over images, in nats an image where the model's likelihood is in nats.
#[derive(Clone, Debug, PartialEq)]
pub struct Losses {
    /// The names: [`crate::models::Model::terms`]. The first is what training minimises.
    pub terms: &'static [&'static str],
    /// The means.
    pub values: Vec<f64>,
}

impl Losses {
    /// What training minimises.
    pub fn loss(&self) -> f64 {
        self.values[0]
    }

    /// Names and values.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, f64)> {
        self.terms.iter().copied().zip(self.values.iter().copied())
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Mean {
    steps: u64,
    /// A sum a term.
    sums: Vec<f64>,
    rows: f64,
}

impl Mean {
    pub(super) fn add(&mut self, step: &Losses, rows: u32) {
        self.sums.resize(step.values.len(), 0.0);
        for (sum, value) in self.sums.iter_mut().zip(&step.values) {
            *sum += value * f64::from(rows);
        }
        self.steps += 1;
        self.rows += f64::from(rows);
    }

    /// Steps it is of.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// Whether it is one of so many finite numbers.
    pub(super) fn is_of(&self, terms: usize) -> bool {
        let is_whole = self.sums.len() == terms || self.steps == 0 && self.sums.is_empty();
        is_whole && self.sums.iter().chain([&self.rows]).all(|value| value.is_finite()) && self.rows >= 0.0
    }

    pub(super) fn losses(&self, terms: &'static [&'static str]) -> Losses {
        let mean = |at: usize| self.sums.get(at).map_or(0.0, |sum| sum / self.rows.max(1.0));
        Losses { terms, values: (0..terms.len()).map(mean).collect() }
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

    const TERMS: &[&str] = &["loss", "recon", "kl"];

    fn losses(values: [f64; 3]) -> Losses {
        Losses { terms: TERMS, values: values.to_vec() }
    }

    #[test]
    fn means_weigh_steps_by_rows() {
        let mut mean = Mean::default();
        mean.add(&losses([3.0, 2.0, 1.0]), 3);
        mean.add(&losses([7.0, 6.0, 1.0]), 1);
        assert_eq!(mean.losses(TERMS).values, [4.0, 3.0, 1.0]);
    }

    #[test]
    fn what_is_not_finite_is_named() {
        assert!(losses([1.0, 2.0, 3.0]).check_finite(String::new).is_ok());
        let message =
            losses([f64::NAN, f64::INFINITY, 1.0]).check_finite(|| "step 3".to_owned()).unwrap_err().to_string();
        assert!(message.starts_with("step 3: recon is inf"), "{message}");
    }
}
