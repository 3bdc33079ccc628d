//! Which trained model a command works with: of a run, or of a file.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{RUNS, device, device_line, say};
use crate::backend::{Data, Selected, Session};
use crate::config::TrainConfig;
use crate::data::{DataSource, Dataset};
use crate::error::{Error, Result};
use crate::models::Model;
use crate::plan::Arena;
use crate::train::{Checkpoint, RunFolder, newest_run};

#[derive(Debug, Args)]
pub(super) struct Source {
    /// The run folder [default: the newest in ./runs]
    run: Option<PathBuf>,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
pub(super) struct Which {
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
    pub(super) model: Model,
}

impl Source {
    pub(super) fn new(run: PathBuf, which: Which) -> Source {
        Source { run: Some(run), which }
    }

    pub(super) fn find(&self) -> Result<Found> {
        let open = || match &self.run {
            Some(path) => RunFolder::open(path),
            None => newest_run(Path::new(RUNS)),
        };
        let (run, path) = match (self.which.checkpoint.as_str(), &self.run) {
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
        let model = Model::new(checkpoint.header.model.clone())?;
        Ok(Found { run, path, checkpoint, model })
    }

    /// What --device asks for.
    pub(super) fn device(&self) -> &str {
        &self.which.device
    }

    /// The model on its device.
    pub(super) fn session(&self, found: &Found) -> Result<(Selected, Box<dyn Session>)> {
        let selected = device(&self.which.device)?;
        let none: [Data<'_>; 0] = [];
        let mut session = selected.device.session(found.model.layout(), &none)?;
        session.write_arena(Arena::Parameters, &found.checkpoint.parameters)?;
        Ok((selected, session))
    }
}

impl Found {
    /// How the model was trained, as far as commands need it: the run's configuration; for a file alone what the file says.
    pub(super) fn config(&self) -> Result<TrainConfig> {
        match &self.run {
            Some(run) => run.config(),
            None => {
                let (model, train) = (&self.checkpoint.header.model, &self.checkpoint.header.train);
                let (binarise, seed, latent, output) = (train.binarise, train.seed, model.latent, model.output);
                Ok(TrainConfig { binarise, seed, latent, output, ..TrainConfig::default() })
            }
        }
    }

    /// The run's configuration, and its data or those named instead, which must have images of the model's size.
    pub(super) fn data(&self, other: Option<&DataSource>) -> Result<(TrainConfig, Dataset)> {
        let mut config = self.config()?;
        if let Some(other) = other {
            // With its own test set, or its own part for testing.
            config = TrainConfig { data: Some(other.clone()), test_data: None, split: None, ..config };
        }
        let header = &self.checkpoint.header;
        let data = config.dataset_scaled(header.scaling.as_ref())?;
        let size = data.test.size;
        if size != header.size() {
            return Err(Error::Usage(format!(
                "{} has images of {size}, the model of {} has {}: they must be equal",
                data.name,
                self.path.display(),
                header.size()
            )));
        }
        Ok((config, data))
    }

    /// Where a figure goes: into the run, or into the current folder for a file alone.
    pub(super) fn figure(&self, name: &str) -> PathBuf {
        match &self.run {
            Some(run) => run.figure(name),
            None => PathBuf::from(name),
        }
    }

    /// `device: ...` and `checkpoint: ...`.
    pub(super) fn say(&self, selected: &Selected) {
        say(format_args!("{}", device_line(selected)));
        say(format_args!("checkpoint: {}, epoch {}", self.path.display(), self.checkpoint.header.standing.epoch));
    }
}

/// Image `index` is one of `count`, or the option that named it is wrong.
pub(super) fn check_index(option: &str, index: usize, count: usize) -> Result<()> {
    match index < count {
        true => Ok(()),
        false => Err(Error::Usage(format!("{option} names test image {index}: there are {count}, from 0"))),
    }
}
