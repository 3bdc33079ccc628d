//! A run's folder: `config.toml`, `metrics.jsonl` (a line an epoch), `checkpoints/`, `figures/`, TensorBoard's event files.

use super::Checkpoint;
use super::metrics::json_lines;
use crate::config::TrainConfig;
use crate::error::{Error, Result, shell_word, shown_reason};
use crate::files::{is_part, write_atomic};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// A line of `metrics.jsonl`. Losses are means over images, in nats where the model's likelihood is; counts are the epoch's
/// training alone, without evaluation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the documentation: they are the file's keys")]
pub struct EpochMetrics {
    pub epoch: u64,
    pub step: u64,
    /// `train_loss`, `test_loss` and so on: each of the model's terms, on the training and the test set; where there is a
    /// validation set, `val_loss` and so on in place of the test set's.
    #[serde(flatten)]
    pub losses: BTreeMap<String, f64>,
    pub lr: f64,
    pub beta: f64,
    pub images_per_s: f64,
    pub seconds: f64,
    pub device: String,
    pub dispatches_per_step: usize,
    pub dispatches: u64,
    pub submissions: u64,
    pub bytes_to_device: u64,
    pub bytes_from_device: u64,
}

impl EpochMetrics {
    /// The set that the epoch was measured on: `val`, or `test` where there was no validation set.
    pub fn held_out(&self) -> &'static str {
        if self.losses.keys().any(|name| name.starts_with("val_")) { "val" } else { "test" }
    }

    /// A term on the set that the epoch was measured on.
    pub fn held_out_loss(&self, term: &str) -> Option<f64> {
        self.losses.get(&format!("{}_{term}", self.held_out())).copied()
    }
}

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes a new run's folder and writes its configuration.
    ///
    /// # Errors
    /// [`Error::Usage`] where the folder already holds a run; [`Error::Io`] where it cannot be made.
    pub fn create(path: &Path, config: &TrainConfig) -> Result<RunFolder> {
        if path.join("config.toml").exists() {
            return Err(Error::Usage(format!(
                "--out {}: it already holds a run; use --resume {} to go on with it",
                path.display(),
                shell_word(path)
            )));
        }
        let run = RunFolder { path: path.to_owned() };
        for folder in [run.path.clone(), run.path.join("checkpoints"), run.path.join("figures")] {
            std::fs::create_dir_all(&folder).map_err(Error::io("making folder", &folder))?;
        }
        write_atomic(&run.path.join("config.toml"), config.to_toml()?.as_bytes())?;
        Ok(run)
    }

    /// A run's folder that is there.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is none.
    pub fn open(path: &Path) -> Result<RunFolder> {
        if !path.join("config.toml").is_file() {
            return Err(Error::Usage(format!("{}: it is not a run folder: it has no config.toml", path.display())));
        }
        Ok(RunFolder { path: path.to_owned() })
    }

    /// Makes this process the only one that writes the folder, while the lock is held; the system lets go of it when the
    /// process ends, however it ends.
    ///
    /// # Errors
    /// [`Error::Usage`] where another process writes it; [`Error::Io`] where the lock can't be made.
    pub fn lock(&self) -> Result<RunLock> {
        let path = self.path.join(".lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(Error::io("locking", &path))?;
        match file.try_lock() {
            Ok(()) => {
                self.clear();
                Ok(RunLock { _file: file })
            }
            Err(TryLockError::WouldBlock) => {
                let path = self.path.display();
                Err(Error::Usage(format!("{path}: another process is training this run: wait for it, or stop it")))
            }
            Err(TryLockError::Error(error)) => Err(Error::io("locking", &path)(error)),
        }
    }

    /// Takes away what a killed process left half-written; no one else writes here now.
    fn clear(&self) {
        for folder in [self.path.clone(), self.path.join("checkpoints"), self.path.join("figures")] {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            for entry in entries.filter(|entry| is_part(&entry.file_name())) {
                let _ = std::fs::remove_file(entry.path()); // it does no harm where it stays
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run's configuration.
    pub fn config(&self) -> Result<TrainConfig> {
        TrainConfig::load_of_run(&self.path.join("config.toml"))
    }

    /// The path of `checkpoints/NAME.safetensors`.
    pub fn checkpoint(&self, name: &str) -> PathBuf {
        self.path.join("checkpoints").join(format!("{name}.safetensors"))
    }

    /// The path of `figures/NAME`.
    pub fn figure(&self, name: &str) -> PathBuf {
        self.path.join("figures").join(name)
    }

    /// The epochs so far. A last line that breaks off is left out: whoever wrote it was stopped, and no epoch before it is
    /// less true.
    ///
    /// # Errors
    /// [`Error::Format`] that names any other damaged line; [`Error::Io`] where the file is there and can't be read.
    pub fn metrics(&self) -> Result<Vec<EpochMetrics>> {
        let path = self.path.join("metrics.jsonl");
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("reading", &path)(error)),
        };
        let mut lines = Vec::new();
        for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
            let whole = line.strip_suffix(b"\n");
            match serde_json::from_slice(whole.unwrap_or(line)) {
                Ok(line) => lines.push(line),
                Err(_) if whole.is_none() => break,
                Err(error) => {
                    return Err(Error::format(
                        &path,
                        format!("line {}: {}", index + 1, shown_reason(&error.to_string())),
                    ));
                }
            }
        }
        Ok(lines)
    }

    /// Adds an epoch, in place of any at or after it: a resumed run holds each epoch once.
    pub fn append(&self, metrics: &EpochMetrics) -> Result<()> {
        let mut all = self.metrics()?;
        all.retain(|earlier| earlier.epoch < metrics.epoch);
        all.push(metrics.clone());
        let path = self.path.join("metrics.jsonl");
        write_atomic(&path, json_lines(&path, &all)?.as_bytes())
    }

    /// Writes the last checkpoint, and the best where it is.
    pub fn save(&self, checkpoint: &Checkpoint, best: bool) -> Result<()> {
        let bytes = checkpoint.to_bytes()?;
        if best {
            write_atomic(&self.checkpoint("best"), &bytes)?;
        }
        write_atomic(&self.checkpoint("last"), &bytes)
    }
}

/// The right to write a run's folder.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

/// The run under `root` whose last checkpoint is newest.
///
/// # Errors
/// [`Error::Usage`] where there is none.
pub fn newest_run(root: &Path) -> Result<RunFolder> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let time = |entry: std::fs::DirEntry| {
        let modified = RunFolder { path: entry.path() }.checkpoint("last").metadata().and_then(|file| file.modified());
        modified.ok().map(|time| (time, entry.path()))
    };
    match entries.filter_map(time).max() {
        Some((_, path)) => RunFolder::open(&path),
        None => Err(Error::Usage(format!(
            "{}: no run with a checkpoint; train one first, or name its folder",
            root.display()
        ))),
    }
}
