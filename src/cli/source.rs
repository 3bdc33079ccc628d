//! Which trained model a command works with: of a run, or of a file.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{RUNS, device};
use crate::backend::{Data, Selected, Session};
use crate::config::TrainConfig;
use crate::error::{Error, Result};
use crate::models::Vae;
use crate::plan::Arena;
use crate::train::{Checkpoint, RunFolder, newest_run};

#[derive(Debug, Args)]
pub(super) struct Source {
    /// The run folder [default: the newest in ./runs]
    run: Option<PathBuf>,
    /// best (the epoch with the lowest test loss), last, or a file
    #[arg(long, value_name = "WHICH", default_value = "best")]
    checkpoint: String,
    /// auto, cpu, gpu, or an adapter's index or name as `vae-gpu devices` lists them
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
}

/// A checkpoint, and the run it is of.
pub(super) struct Found {
    pub(super) run: Option<RunFolder>,
    pub(super) path: PathBuf,
    pub(super) checkpoint: Checkpoint,
    pub(super) vae: Vae,
}

impl Source {
    pub(super) fn find(&self) -> Result<Found> {
        let open = || match &self.run {
            Some(path) => RunFolder::open(path),
            None => newest_run(Path::new(RUNS)),
        };
        let (run, path) = match (self.checkpoint.as_str(), &self.run) {
            ("best", _) => open().map(|run| (Some(run.clone()), run.checkpoint("best")))?,
            ("last", _) => open().map(|run| (Some(run.clone()), run.checkpoint("last")))?,
            (file, None) => (None, PathBuf::from(file)),
            (file, Some(run)) => {
                return Err(Error::Usage(format!(
                    "--checkpoint {file} with the run {}: name a run with best or last, or a file alone",
                    run.display()
                )));
            }
        };
        let checkpoint = Checkpoint::load(&path)?;
        let vae = Vae::new(checkpoint.header.model.clone())?;
        Ok(Found { run, path, checkpoint, vae })
    }

    /// The model on its device.
    pub(super) fn session(&self, found: &Found) -> Result<(Selected, Box<dyn Session>)> {
        let selected = device(&self.device)?;
        let none: [Data<'_>; 0] = [];
        let mut session = selected.device.session(found.vae.layout(), &none)?;
        session.write_arena(Arena::Parameters, &found.checkpoint.parameters)?;
        Ok((selected, session))
    }
}

impl Found {
    /// The run's configuration; the defaults for a file alone.
    pub(super) fn config(&self) -> Result<TrainConfig> {
        match &self.run {
            Some(run) => run.config(),
            None => Ok(TrainConfig::default()),
        }
    }

    /// Where a figure goes: into the run, or into the current folder for a file alone.
    pub(super) fn figure(&self, name: &str) -> PathBuf {
        match &self.run {
            Some(run) => run.figure(name),
            None => PathBuf::from(name),
        }
    }
}
