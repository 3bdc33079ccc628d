//! `vae-gpu train`.

use std::path::{Path, PathBuf};

use clap::Args;
use toml::{Table, Value};

use super::flags::Flags;
use super::interrupt::Interrupt;
use super::job::Job;
use super::progress::{Progress, Quiet};
use super::source::say_to;
use super::{RUNS, device_line, device_with, options, say, thousands};
use crate::backend::TuningCache;
use crate::config::{Beta, PRESETS, TrainConfig, preset};
use crate::data::{Dataset, report};
use crate::error::{Error, Result, shell_word};
use crate::files::write_atomic;
use crate::models::{Capability, Condition, Model, Prior};
use crate::train::{Checkpoint, Ended, RunFolder, Trainer};

/// Train a model, on MNIST unless --data names other images
///
/// Defaults give way to the preset, that to the file of --config, and that to flags.
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu train --hidden 512,256 --latent 2 --epochs 20 --seed 1")]
pub(super) struct Train {
    #[command(flatten)]
    flags: Flags,
    /// A configuration by name
    #[arg(long, value_name = "NAME", conflicts_with = "resume", value_parser = PRESETS.iter().map(|preset| preset.0).collect::<Vec<_>>())]
    preset: Option<String>,
    /// TOML file with values for these flags (batch-size = 64), paths of data relative to it; every run folder holds one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder for the run [default: runs/MODEL-DATE-TIME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Continue the run in this folder up to --epochs, with its config.toml; or begin one with a checkpoint file, as pages write it
    #[arg(long, value_name = "RUN|FILE", conflicts_with = "config")]
    resume: Option<PathBuf>,
    /// Print the configuration as TOML, and train nothing
    #[arg(long)]
    print_config: bool,
    /// Print errors only
    #[arg(long)]
    quiet: bool,
    /// Run each op by itself instead of fused ones
    #[arg(long)]
    no_fuse: bool,
    /// Write the losses of the run's first N steps to steps.jsonl
    #[arg(long, value_name = "N", default_value_t = 0)]
    trace_steps: u64,
}

/// What a run goes on from.
enum Resumed {
    /// The last checkpoint in its own folder.
    Run(RunFolder),
    /// A checkpoint from elsewhere, in a new folder.
    File(Box<Checkpoint>),
}

impl Train {
    /// Trains a configuration into a folder.
    pub(super) fn of(options: Table, out: PathBuf, quiet: bool) -> Train {
        Train {
            flags: Flags::of(options),
            preset: None,
            config: None,
            out: Some(out),
            resume: None,
            print_config: false,
            quiet,
            no_fuse: false,
            trace_steps: 0,
        }
    }

    /// Goes on with a run up to so many epochs.
    pub(super) fn resuming(run: PathBuf, epochs: u64, quiet: bool) -> Train {
        let epochs = i64::try_from(epochs).unwrap_or(i64::MAX);
        let options = [("epochs".to_owned(), Value::Integer(epochs))].into_iter().collect();
        Train { resume: Some(run), out: None, ..Train::of(options, PathBuf::new(), quiet) }
    }

    pub(super) fn run(self) -> Result<()> {
        Job::run(|job| self.among(job))
    }

    /// Trains as a rank of a job: the first one writes and speaks for all.
    fn among(&self, job: &Job) -> Result<()> {
        let resumed = self.resumed()?;
        let mut config = self.config(resumed.as_ref())?;
        config.validate()?;
        if self.print_config {
            say(format_args!("{}", config.to_toml()?.trim_end()));
            return Ok(());
        }
        let lock = match &resumed {
            Some(Resumed::Run(run)) if job.is_first() => Some(run.lock()?),
            _ => None,
        };
        let (resumed, from) = match resumed {
            Some(Resumed::Run(run)) => {
                let from = load(&run, &config)?;
                (Some(run), from)
            }
            Some(Resumed::File(checkpoint)) => (None, Some(own_best(*checkpoint, job, self.quiet))),
            None => (None, None),
        };
        if let Some(from) = &from {
            check_epochs(from, &config)?;
        }
        let known = from.as_ref().map(|checkpoint| &checkpoint.header.schema);
        let mut data = config.reading(known).read(config.data.as_ref())?;
        if let Some(checkpoint) = &from {
            let same = checkpoint.header.check_data(&data);
            match (same, self.flags.names_data()) {
                (Err(Error::Usage(_)), true) => {
                    let had = checkpoint.header.data;
                    let note = format!("they are not those the run had ({had}); it goes on with them");
                    if self.quiet && job.is_first() {
                        say_to(false, format_args!("data: {note}"));
                    }
                    data.notes.push(note);
                }
                (same, _) => same?,
            }
        }
        if let Some(note) = fitting_batch(&mut config, data.train.count())? {
            data.notes.push(note);
        }
        config.validate_data(&data)?;
        let selected = device_with(&job.device(&config.device), &TuningCache::of_user(), config.precision.into())?;
        let options = options(&*selected.device, self.no_fuse);
        job.agree(|| same_everywhere(&config, &data, from.as_ref()))?;
        let ranks = job.ranks.clone();
        let mut trainer = Trainer::among(ranks, &config, &data, &*selected.device, options, from.as_ref())?;
        trainer.trace_steps(self.trace_steps);
        let interrupt = Interrupt::listen()?;
        if !job.is_first() {
            trainer.follow(&mut Quiet(interrupt))?;
            return Ok(());
        }
        let begun = resumed.is_none();
        let folder = match (resumed, &self.out) {
            (Some(run), _) => {
                let path = run.path().join("config.toml");
                write_atomic(&path, config.to_toml()?.as_bytes())?;
                run
            }
            (None, Some(out)) => RunFolder::create(out, &config)?,
            (None, None) => RunFolder::create_named(Path::new(RUNS), &config)?,
        };
        let _lock = match lock {
            Some(lock) => lock,
            None => folder.lock()?,
        };
        if let Some(from) = from.as_ref().filter(|_| begun) {
            folder.save(from, true)?; // the best until an epoch is better
        }
        job.tell_how_to_go_on(&interrupt, folder.path());
        if self.quiet {
            let ended = trainer.run(&folder, &mut Quiet(interrupt.clone())).map_err(|error| go_on(error, &folder))?;
            return report_stop(ended, &interrupt, &folder);
        }

        say(format_args!("{}", device_line(&selected)));
        say(format_args!("data: {}, {}", data.name, report(&data)?));
        data.notes.iter().for_each(|note| say(format_args!("data: {note}")));
        if trainer.is_streamed() {
            say(format_args!("data: too large to stay on the device, batches are streamed to it"));
        }
        say(format_args!("{}", model_line(&config, &trainer)));
        say(format_args!("plan: {} dispatches a step", trainer.dispatches()));
        if config.shards > 1 {
            say(format_args!("ranks: {}, batches in {} shards", job.ranks.count(), config.shards));
        }
        say(format_args!("run: {}", folder.path().display()));
        if let Some(state) = trainer.state() {
            let within = if state.within.is_some() { ", within the next" } else { "" };
            say(format_args!("resumed after step {} (epoch {}{within})", state.step, state.epoch));
        }
        let mut progress = Progress::new(config.epochs, interrupt.clone());
        let ended = trainer.run(&folder, &mut progress).map_err(|error| go_on(error, &folder))?;
        report_stop(ended, &interrupt, &folder)?;
        let (path, word) = (folder.path().display(), shell_word(folder.path()));
        say(format_args!("the run is in {path}; look at samples with: vae-gpu sample {word}"));
        Ok(())
    }

    /// What --resume names.
    fn resumed(&self) -> Result<Option<Resumed>> {
        let Some(path) = &self.resume else { return Ok(None) };
        if path.is_file() {
            return Ok(Some(Resumed::File(Box::new(Checkpoint::load(path)?))));
        }
        if let Some(out) = &self.out {
            let (out, run) = (out.display(), path.display());
            return Err(Error::Usage(format!(
                "--out {out}: the run {run} goes on in its own folder; --out is for a checkpoint file"
            )));
        }
        RunFolder::open(path).map(Resumed::Run).map(Some)
    }

    /// Defaults < preset < file < flags; for a resumed run its own file stands, and flags may only change what may change. For a
    /// checkpoint file stands what it says, and flags say what it does not: data and epochs.
    fn config(&self, resumed: Option<&Resumed>) -> Result<TrainConfig> {
        let flags = self.flags.table();
        match resumed {
            Some(Resumed::Run(run)) => {
                let file = run.config()?;
                let config = TrainConfig::layered([file.to_table()?, flags])?;
                file.check_resumable(&config)?;
                return Ok(config);
            }
            Some(Resumed::File(checkpoint)) => {
                let has_length = flags.contains_key("epochs");
                let config = TrainConfig::layered([checkpoint.header.config().to_table()?, flags])?;
                if !has_length && (config.lr_schedule.needs_length() || config.beta_schedule.needs_length()) {
                    return Err(Error::Usage(
                        "--epochs must be given: the checkpoint's schedule is laid out over those of its run, which it does not tell"
                            .to_owned(),
                    ));
                }
                return Ok(config);
            }
            None => {}
        }
        let preset = self.preset.as_deref().map(preset).transpose()?;
        let file = self.config.as_deref().map(TrainConfig::table).transpose()?;
        TrainConfig::layered([preset, file, Some(flags)].into_iter().flatten())
    }
}

/// Makes a batch no larger than the training set, and says so.
///
/// # Errors
/// [`Error::Usage`] where the set has not an example for each shard.
fn fitting_batch(config: &mut TrainConfig, examples: usize) -> Result<Option<String>> {
    if config.batch_size <= examples || examples == 0 {
        return Ok(None);
    }
    let (shards, fitting) = (config.shards, examples - examples % config.shards);
    if fitting == 0 {
        return Err(Error::Usage(format!("--shards is {shards}: there are but {examples} training examples")));
    }
    let asked = std::mem::replace(&mut config.batch_size, fitting);
    Ok(Some(match examples - fitting {
        0 => format!("a batch is all {examples} training examples, fewer than --batch-size {asked}"),
        _ => format!(
            "a batch is {fitting} of the {examples} training examples, fewer than --batch-size {asked}, so that {shards} shards \
             divide it"
        ),
    }))
}

/// What all ranks of a job must have alike.
fn same_everywhere(
    config: &TrainConfig,
    data: &Dataset,
    from: Option<&Checkpoint>,
) -> Result<[(&'static str, String); 3]> {
    let mut options = config.to_table()?;
    // Where data lie and what computes may differ.
    options.retain(|key, _| !["data", "test-data", "device", "resident-limit"].contains(&key));
    Ok([
        ("configuration", options.to_string().trim_end().replace('\n', "; ")),
        ("data", data.fingerprint()?.to_string()),
        ("checkpoint", from.map_or("none".to_owned(), Checkpoint::identity)),
    ])
}

/// How to go on after a device failed or was lost.
fn go_on(error: Error, folder: &RunFolder) -> Error {
    let path = shell_word(folder.path());
    match error {
        Error::Device { device, reason } => {
            let reason = format!(
                "{reason}; the run's last checkpoint is as it was: go on with vae-gpu train --resume {path}, where the \
                 device does not come back with --device cpu"
            );
            Error::Device { device, reason }
        }
        other => other,
    }
}

/// What a run that was stopped ends with.
fn report_stop(ended: Ended, interrupt: &Interrupt, folder: &RunFolder) -> Result<()> {
    let Ended::Stopped { step, epoch } = ended else { return Ok(()) };
    let path = shell_word(folder.path());
    let reason = format!("after step {step}, in epoch {epoch}; go on with: vae-gpu train --resume {path}");
    Err(Error::Interrupted { signal: interrupt.signal().unwrap_or_default(), reason })
}

/// The run's last checkpoint; none where it was stopped before its first.
fn load(run: &RunFolder, config: &TrainConfig) -> Result<Option<Checkpoint>> {
    let path = run.checkpoint("last");
    if !path.exists() {
        return Ok(None);
    }
    let checkpoint = Checkpoint::load(&path)?;
    let model = Model::new(config.architecture_for(&checkpoint.header.schema)?)?;
    checkpoint.check_model(&path, &model)?;
    Ok(Some(checkpoint))
}

/// A checkpoint from elsewhere, whose best epoch, where it is another than its last, is not in the file: the best is then one that follows.
fn own_best(mut checkpoint: Checkpoint, job: &Job, quiet: bool) -> Checkpoint {
    let state = &mut checkpoint.header.state;
    if state.best_epoch > 0 && (state.best_epoch < state.epoch || state.within.is_some()) {
        let (best, loss) = (state.best_epoch, state.best_test_loss);
        if job.is_first() {
            say_to(
                !quiet,
                format_args!(
                    "the best epoch so far, {best} with a test loss of {loss:.2}, is not in the file: the best is one that follows"
                ),
            );
        }
        (state.best_epoch, state.best_test_loss) = (state.epoch, f64::MAX);
    }
    checkpoint
}

/// Checks that there is something left to train.
fn check_epochs(from: &Checkpoint, config: &TrainConfig) -> Result<()> {
    let (done, epochs) = (from.header.state.epoch, config.epochs);
    match done < epochs {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "--epochs is {epochs}: the run has {done} epochs already, it must be more to resume"
        ))),
    }
}

fn model_line(config: &TrainConfig, trainer: &Trainer<'_>) -> String {
    let model = trainer.model().config();
    let word = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
    let mut words = vec![word(&config.activation)];
    if model.model.has(Capability::Encoder) {
        let kl = match (model.model.has(Capability::WeightedKl), config.beta) {
            (false, _) => String::new(),
            (true, Beta::Fixed(beta)) => format!(" + {beta} kl"),
            (true, Beta::Auto { target }) => format!(" + beta kl to a reconstruction of {target}"),
        };
        words.push(model.loss.name() + &kl);
    }
    if model.model.has(Capability::ImportanceSamples) {
        words.push(format!("{} samples", model.samples));
    }
    if model.prior != Prior::Normal {
        words.push(format!("prior {}", model.prior));
    }
    match model.condition {
        Some(Condition::Class(classes)) => words.push(format!("given one of {classes} classes")),
        Some(Condition::Number) => words.push("given a number".to_owned()),
        None => {}
    }
    let (shape, count) = (model.sizes(), thousands(trainer.model().layout().count()));
    format!("model: {} {shape}, {}, {count} parameters", model.model.name(), words.join(", "))
}
