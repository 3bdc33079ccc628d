//! Summaries of runs: options and best figures, read off the folder alone, so that hundreds are listed at once.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::run::{EpochMetrics, RunFolder};
use crate::config::TrainConfig;
use crate::error::{Error, Result};
use crate::models::Capability;

/// A run with its epochs.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its folder.
    pub folder: RunFolder,
    /// Its configuration.
    pub config: TrainConfig,
    /// Its epochs.
    pub epochs: Vec<EpochMetrics>,
    /// Names of the recorded terms ([`ModelKind::terms`](crate::models::ModelKind::terms)); the first is what training minimises.
    pub terms: Vec<&'static str>,
}

/// A run's best figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The folder's name.
    pub name: String,
    /// The folder.
    pub path: PathBuf,
    /// The model's name.
    pub model: &'static str,
    /// [`ModelConfig::sizes`](crate::models::ModelConfig::sizes) without the ends.
    pub architecture: String,
    /// Epochs done.
    pub epochs: u64,
    /// The epoch with the lowest test loss; the last, for a model whose losses do not rank epochs. None before the first.
    pub best_epoch: Option<u64>,
    /// The test loss after it, in nats an image where the model's likelihood is; the validation set's where there is one.
    pub best_test_loss: Option<f64>,
    /// Seconds of training, without evaluation.
    pub seconds: f64,
    /// The devices it was trained on, in their order.
    pub devices: Vec<String>,
}

impl Run {
    /// Reads a run's configuration and metrics.
    ///
    /// # Errors
    /// Those of [`RunFolder::open`], [`RunFolder::config`] and [`RunFolder::metrics`]; [`Error::Format`] where the
    /// configuration holds a value that is not allowed, or an epoch lacks its test loss.
    pub fn read(path: &Path) -> Result<Run> {
        let folder = RunFolder::open(path)?;
        let config = folder.config()?;
        let refused = |error: Error| Error::format(&path.join("config.toml"), error.to_string());
        config.validate().map_err(refused)?;
        // The terms do not depend on how many pixels an image has.
        let terms = config.model.terms().to_vec();
        let epochs = folder.metrics()?;
        if let Some(at) = epochs.iter().position(|line| line.held_out_loss(terms[0]).is_none()) {
            let reason = format!("line {}: it has no test_{}, the loss of {}", at + 1, terms[0], config.model.name());
            return Err(Error::format(&path.join("metrics.jsonl"), reason));
        }
        Ok(Run { folder, config, epochs, terms })
    }

    /// The folder's name.
    pub fn name(&self) -> String {
        let path = self.folder.path();
        let name = path.file_name().map(ToOwned::to_owned);
        let name = name.or_else(|| path.canonicalize().ok()?.file_name().map(ToOwned::to_owned)); // of `.` and `..`
        name.map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
    }

    /// Layer sizes between the pixels.
    pub fn architecture(&self) -> String {
        self.config.sizes()
    }

    /// The test loss after an epoch of this run; the validation set's where there is one.
    pub fn test_loss(&self, epoch: &EpochMetrics) -> f64 {
        epoch.held_out_loss(self.terms[0]).unwrap_or(f64::NAN)
    }

    /// The epoch of [`Summary::best_epoch`].
    pub fn best(&self) -> Option<&EpochMetrics> {
        if !self.config.model.has(Capability::RankingLoss) {
            return self.epochs.last();
        }
        self.epochs.iter().min_by(|a, b| self.test_loss(a).total_cmp(&self.test_loss(b)))
    }

    /// Seconds of training, without evaluation.
    pub fn seconds(&self) -> f64 {
        self.epochs.iter().map(|line| line.seconds).sum()
    }

    /// The middle one of the epochs' images/s; none before the first.
    pub fn images_per_s(&self) -> Option<f64> {
        let mut speeds: Vec<f64> = self.epochs.iter().map(|line| line.images_per_s).collect();
        (!speeds.is_empty()).then(|| crate::backend::median(&mut speeds))
    }

    /// The devices it was trained on, in their order.
    pub fn devices(&self) -> Vec<String> {
        let mut devices: Vec<String> = Vec::new();
        for line in &self.epochs {
            if !devices.contains(&line.device) {
                devices.push(line.device.clone());
            }
        }
        devices
    }

    /// Its best figures.
    pub fn summary(&self) -> Summary {
        let best = self.best();
        Summary {
            name: self.name(),
            path: self.folder.path().to_owned(),
            model: self.config.model.name(),
            architecture: self.architecture(),
            epochs: self.epochs.last().map_or(0, |line| line.epoch),
            best_epoch: best.map(|line| line.epoch),
            best_test_loss: best.map(|line| self.test_loss(line)),
            seconds: self.seconds(),
            devices: self.devices(),
        }
    }
}

/// Every run in a folder, by name: what was read of it, or what is wrong with it. A folder that holds nothing a run would
/// is none.
///
/// # Errors
/// [`Error::Io`] where the folder can't be read.
pub fn runs(folder: &Path) -> Result<Vec<(PathBuf, Result<Run>)>> {
    let read = |error| Error::io("reading", folder)(error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if ["config.toml", "metrics.jsonl", "checkpoints"].iter().any(|part| path.join(part).exists()) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths.into_iter().map(|path| (path.clone(), Run::read(&path))).collect())
}
