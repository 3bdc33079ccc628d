//! Which trained model a command works with: of a run, or of a file.

use std::cell::OnceCell;
use std::fmt;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{RUNS, device, device_line, say};
use crate::backend::{Device, Selected, Session};
use crate::config::TrainConfig;
use crate::data::{DataSource, Dataset, Examples, Images, Reading, Set, report_examples};
use crate::error::{Error, Result};
use crate::models::{Capability, Model};
use crate::plan::Options;
use crate::train::condition::Conditions;
use crate::train::fitted::{CodeSet, Fitted};
use crate::train::generate::LatentSource;
use crate::train::{Checkpoint, RunFolder, density, newest_run};

/// Which checkpoint and which device, where neither is named.
const CHECKPOINT: &str = "best";
const DEVICE: &str = "auto";

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
    #[arg(long, value_name = "WHICH", default_value = CHECKPOINT)]
    checkpoint: String,
    /// auto, cpu, gpu, or an adapter's index or name as `vae-gpu devices` lists them
    #[arg(long, value_name = "DEVICE", default_value = DEVICE)]
    device: String,
}

/// Which examples a command works with.
#[derive(Debug, Args)]
pub(super) struct Asked {
    /// Other data, as for train, all of which are read in their order [default: the data of the run]
    #[arg(long, value_name = "DATA")]
    pub(super) data: Option<DataSource>,
    /// Which of them [default: the test set; all, where other data have none]
    #[arg(long, value_enum)]
    pub(super) set: Option<Set>,
}

/// Which classes are read, where a run was trained on some alone (`--classes`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// Those that it was trained on.
    Trained,
    /// All; those that the model does not know have no number.
    All,
    /// All, with numbers for each.
    Named,
}

impl Taken {
    /// What is said where a run was trained on these classes alone, and all are read.
    fn note(self, trained: &[String]) -> Option<String> {
        let differ = self != Taken::Trained && !trained.is_empty();
        differ
            .then(|| format!("the model was trained with --classes {} alone: all classes are read", trained.join(",")))
    }
}

/// A checkpoint, and the run it is of.
pub(super) struct Found {
    pub(super) run: Option<RunFolder>,
    pub(super) path: PathBuf,
    pub(super) checkpoint: Checkpoint,
    pub(super) model: Model,
    own_data: OnceCell<(TrainConfig, Dataset)>,
    own_codes: OnceCell<Vec<f32>>,
}

impl Source {
    pub(super) fn new(run: PathBuf, which: Which) -> Source {
        Source { run: Some(run), which }
    }

    /// An option that was given and is about a checkpoint.
    pub(super) fn of_a_checkpoint(&self) -> Option<&'static str> {
        let Which { checkpoint, device } = &self.which;
        let given = [("--checkpoint", checkpoint != CHECKPOINT), ("--device", device != DEVICE)];
        given.into_iter().find(|(_, given)| *given).map(|(option, _)| option)
    }

    /// The run that is named.
    pub(super) fn named(&self) -> Result<Option<RunFolder>> {
        self.run.as_deref().map(RunFolder::open).transpose()
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
        Ok(Found { run, path, checkpoint, model, own_data: OnceCell::new(), own_codes: OnceCell::new() })
    }

    /// What --device asks for.
    pub(super) fn device(&self) -> &str {
        &self.which.device
    }

    /// The model on its device.
    pub(super) fn session(&self, found: &Found) -> Result<(Selected, Box<dyn Session>)> {
        let selected = device(&self.which.device)?;
        let session = found.checkpoint.session(&*selected.device, &found.model)?;
        Ok((selected, session))
    }
}

impl Found {
    /// What all ranks of a job must have alike that work with these images.
    pub(super) fn same_everywhere(&self, images: &Images, options: String) -> Result<[(&'static str, String); 3]> {
        let data = format!("{} examples, crc32 {:08x}", images.count(), images.checksum()?);
        Ok([("checkpoint", self.checkpoint.identity()), ("data", data), ("options", options)])
    }

    /// How the model was trained, as far as commands need it: the run's configuration; for a file alone what the file says.
    pub(super) fn config(&self) -> Result<TrainConfig> {
        match &self.run {
            Some(run) => run.config(),
            None => Ok(self.checkpoint.header.config()),
        }
    }

    /// What images can be generated of.
    pub(super) fn conditions(&self) -> Result<Conditions<'_>> {
        let (model, schema) = (self.model.config(), &self.checkpoint.header.schema);
        Ok(Conditions { model, schema, classes: self.config()?.classes })
    }

    /// The run's configuration, and its data or those named instead, as sets to train on and to test. They are read as the
    /// model's own were: on its scale, with its classes and columns.
    pub(super) fn data(&self, other: Option<&DataSource>) -> Result<(TrainConfig, Dataset)> {
        self.data_of(other, other.map_or(Taken::Trained, |_| Taken::All))
    }

    fn data_of(&self, other: Option<&DataSource>, taken: Taken) -> Result<(TrainConfig, Dataset)> {
        let mut config = self.config()?;
        if let Some(other) = other {
            // With its own test set, or its own part for testing.
            config = TrainConfig { data: Some(other.clone()), test_data: None, split: None, ..config };
        }
        let trained = config.classes.clone();
        let header = &self.checkpoint.header;
        let mut data = self.reading(&mut config, taken).read(config.data.as_ref())?;
        data.notes.extend(taken.note(&trained));
        if other.is_none() {
            let fingerprint = match taken == Taken::Trained || trained.is_empty() {
                true => data.fingerprint()?,
                false => data.of_classes(&trained)?.fingerprint()?,
            };
            if fingerprint != header.data {
                let reason = format!("these are not the data that the model was trained on, which had {}", header.data);
                data.notes.push(reason);
            }
        }
        for (what, images) in data.sets() {
            config.check_range(&data.name, what, images)?;
        }
        Ok((config, data))
    }

    /// How the model's data are read, in this configuration.
    fn reading(&self, config: &mut TrainConfig, taken: Taken) -> Reading {
        if taken != Taken::Trained {
            config.classes.clear();
        }
        let reading = config.reading(Some(&self.checkpoint.header.schema));
        Reading { new_classes: taken == Taken::Named, ..reading }
    }

    /// The run's configuration, and examples of its data or of those named instead: of the set asked for, else the test set,
    /// or all where other data have none. Of the run's data the classes that it was trained on, of others all.
    pub(super) fn examples(&self, asked: &Asked) -> Result<(TrainConfig, Examples)> {
        self.examples_of(asked, asked.data.as_ref().map_or(Taken::Trained, |_| Taken::All))
    }

    /// The same of all classes, those among them that the model does not know.
    pub(super) fn examples_of_all_classes(&self, asked: &Asked) -> Result<(TrainConfig, Examples)> {
        self.examples_of(asked, Taken::Named)
    }

    fn examples_of(&self, asked: &Asked, taken: Taken) -> Result<(TrainConfig, Examples)> {
        let Some(other) = &asked.data else {
            let (config, data) = self.data_of(None, taken)?;
            let Dataset { name, train, validation, test, table, schema, notes } = data;
            let images = match asked.set.unwrap_or(Set::Test) {
                Set::Train => train,
                Set::Test => test,
                Set::Validation => {
                    validation.ok_or_else(|| Error::Usage(format!("{name}: it has no validation set")))?
                }
                Set::All => Images::joined([Some(train), validation, Some(test)].into_iter().flatten().collect()),
            };
            return Ok((config, Examples { name, images, classes: schema.classes, table, notes }));
        };
        let mut config = self.config()?;
        let note = taken.note(&config.classes);
        let mut examples = self.reading(&mut config, taken).read_set(Some(other), asked.set)?;
        examples.notes.extend(note);
        config.check_range(&examples.name, "its", &examples.images)?;
        Ok((config, examples))
    }

    /// What is fitted to the model's codes, as [`Found::fitted`]: the densities, and models of codes that are kept already; none where the
    /// training data can't be read any more, which is said.
    pub(super) fn all_fitted(&self, device: &dyn Device, to_stdout: bool) -> Vec<(LatentSource, Fitted)> {
        if !self.model.has(Capability::Encoder) {
            return Vec::new();
        }
        let is_kept = |source: &LatentSource| Fitted::path(&self.path, *source).exists();
        let trained = [LatentSource::Flow, LatentSource::SecondStage].into_iter().filter(is_kept);
        let all = || -> Result<Vec<_>> {
            let mut session = self.checkpoint.session(device, &self.model)?;
            let sources = [LatentSource::Gaussian, LatentSource::Mixture].into_iter().chain(trained);
            sources.map(|source| Ok((source, self.fitted(&mut *session, source, to_stdout)?))).collect()
        };
        all().unwrap_or_else(|error| {
            say_to(to_stdout, format_args!("how near the prior is to the codes is left out: {error}"));
            Vec::new()
        })
    }

    /// What is kept beside the checkpoint, or fitted now to the training codes and kept there; fitting is said on standard output,
    /// or else on standard error.
    ///
    /// # Errors
    /// Where the file is damaged, the training data can't be read, or the device fails.
    pub(super) fn fitted(&self, session: &mut dyn Session, source: LatentSource, to_stdout: bool) -> Result<Fitted> {
        let (identity, latent) = (self.checkpoint.identity(), self.checkpoint.header.model.latent);
        let path = Fitted::path(&self.path, source);
        let kept = if path.exists() { Fitted::load(&path, source, &identity)? } else { None };
        if let Some(fitted) = kept {
            let (found, width) = (fitted.latent(), fitted.condition());
            if found != latent {
                let reason = format!("its codes have {found} values, the model's {latent}: must be equal");
                return Err(Error::format(&path, reason));
            }
            if width != 0 && width != self.model.config().condition_width() {
                let reason = format!("its codes have a condition of {width} values, which is not the model's");
                return Err(Error::format(&path, reason));
            }
            return Ok(fitted);
        }
        say_to(to_stdout, format_args!("fitting the {} to the training codes: {}", source.name(), path.display()));
        let (config, codes) = (self.config()?, self.own_codes(session)?);
        let train = &self.own_data()?.1.train;
        let codes = CodeSet { codes, latent, conditions: &train.conditions(0..train.count()) };
        let fitted = Fitted::fit(source, &codes, config.seed, &identity, &mut ())?;
        fitted.save(&path, &identity)?;
        Ok(fitted)
    }

    /// Draws from the posteriors of the training images, encoded once.
    fn own_codes(&self, session: &mut dyn Session) -> Result<&[f32]> {
        if self.own_codes.get().is_none() {
            let (config, data) = self.own_data()?;
            let codes = density::draws(session, &self.model, config, &data.train, Options::default())?;
            return Ok(self.own_codes.get_or_init(|| codes));
        }
        Ok(self.own_codes.get().map_or(&[], Vec::as_slice))
    }

    /// [`Found::data`] of the run itself, read once.
    pub(super) fn own_data(&self) -> Result<&(TrainConfig, Dataset)> {
        match self.own_data.get() {
            Some(data) => Ok(data),
            None => {
                let data = self.data(None)?;
                Ok(self.own_data.get_or_init(|| data))
            }
        }
    }

    /// `data: ...`, a line for what was read and one for each note; to standard error where standard output is for others.
    pub(super) fn say_examples(&self, examples: &Examples, to_stdout: bool) -> Result<()> {
        let said = report_examples(&examples.images, &self.checkpoint.header.schema)?;
        let lines = std::iter::once(format!("{}, {said}", examples.name)).chain(examples.notes.iter().cloned());
        lines.for_each(|line| say_to(to_stdout, format_args!("data: {line}")));
        Ok(())
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
        say(format_args!("checkpoint: {}, epoch {}", self.path.display(), self.checkpoint.header.state.epoch));
    }
}

/// A line for people: on standard error where standard output is for others.
pub(super) fn say_to(stdout: bool, line: fmt::Arguments<'_>) {
    if stdout {
        return say(line);
    }
    let _ = writeln!(stderr(), "{line}"); // whoever does not read it misses nothing else
}

/// Image `index` is one of `count`, or the option that named it is wrong.
pub(super) fn check_index(option: &str, index: usize, count: usize) -> Result<()> {
    match index < count {
        true => Ok(()),
        false => Err(Error::Usage(format!("{option} names test image {index}: there are {count}, from 0"))),
    }
}
