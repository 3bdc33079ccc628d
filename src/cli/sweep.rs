//! `vae-gpu sweep`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::job::Job;
use super::train::Train;
use super::{runs, say, told};
use crate::config::{TrainConfig, Variant};
use crate::error::{Error, Result, shell_word};
use crate::train::summary::Run;
use crate::train::{Checkpoint, RunFolder};

/// Train every configuration of a sweep, one after another
///
/// FILE is TOML: [options] has values for all runs, under the keys of a configuration file; [grid] lists of values, of which every
/// combination is a run; each [[runs]] values of runs of their own. A sweep that was stopped goes on where it was, and runs that are done
/// are not trained again. On many machines let --print write the commands, each of which trains one run.
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu sweep beta.toml --print slurm | sbatch")]
pub(super) struct Sweep {
    /// The sweep
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Folder of the runs [default: runs/FILE, without the ending]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Train run N alone, from 0
    #[arg(long, value_name = "N")]
    only: Option<usize>,
    /// Train nothing; print what trains each run elsewhere
    #[arg(long, value_name = "FORM", value_enum, conflicts_with = "only")]
    print: Option<Form>,
    /// Print errors and the table at the end only
    #[arg(long)]
    quiet: bool,
}

/// What trains the runs elsewhere.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// A command a line, for GNU parallel or xargs
    Commands,
    /// A job array of Slurm
    Slurm,
}

/// How far a run is.
enum Progress {
    Missing,
    Begun,
    Done,
}

impl Sweep {
    pub(super) fn run(self) -> Result<()> {
        let variants = Variant::read_all(&self.file)?;
        if let Some(form) = self.print {
            self.print(form, variants.len());
            return Ok(());
        }
        if Job::has_others() {
            return Err(Error::Usage(
                "a sweep trains one run after another, in one process: start it without mpirun, or let --print write the commands".to_owned(),
            ));
        }
        let all: Vec<(usize, &Variant)> = variants.iter().enumerate().collect();
        let chosen = match self.only {
            None => &all[..],
            Some(at) => all.get(at..=at).ok_or_else(|| {
                let last = variants.len() - 1;
                Error::Usage(format!("--only is {at}: the runs of {} are 0 to {last}", self.file.display()))
            })?,
        };
        // A sweep that changed is refused before anything is trained.
        let progress = chosen.iter().map(|(_, variant)| self.progress(variant)).collect::<Result<Vec<_>>>()?;
        let mut failed = Vec::new();
        for ((at, variant), progress) in chosen.iter().zip(progress) {
            let path = self.folder().join(&variant.name);
            let train = match progress {
                Progress::Done => continue,
                Progress::Missing => Train::of(variant.config.to_table()?, path, self.quiet),
                Progress::Begun => Train::resuming(path, variant.config.epochs, self.quiet),
            };
            if !self.quiet {
                say(format_args!("run {at} of 0 to {}: {}", variants.len() - 1, variant.name));
            }
            match train.run() {
                Err(Error::Interrupted { signal, .. }) => {
                    let reason = format!("in run {at}; go on with: vae-gpu sweep {}", self.words());
                    return Err(Error::Interrupted { signal, reason });
                }
                Err(error) => failed.push(format!("{}: {}", variant.name, told(&error))),
                Ok(()) => {}
            }
        }
        let done = chosen.iter().filter_map(|(_, variant)| Run::read(&self.folder().join(&variant.name)).ok());
        runs::print(&done.map(|run| run.summary()).collect::<Vec<_>>());
        match failed.len() {
            0 => Ok(()),
            count => Err(Error::Failed(format!("{count} of {} runs failed:\n{}", chosen.len(), failed.join("\n")))),
        }
    }

    /// Where the runs are.
    fn folder(&self) -> PathBuf {
        let stem = self.file.file_stem().unwrap_or_default();
        self.out.clone().unwrap_or_else(|| PathBuf::from(super::RUNS).join(stem))
    }

    /// Its file and folder, as its command has them.
    fn words(&self) -> String {
        let out = self.out.as_ref().map_or(String::new(), |out| format!(" --out {}", shell_word(out)));
        format!("{}{out}", shell_word(&self.file))
    }

    fn print(&self, form: Form, count: usize) {
        let words = self.words();
        match form {
            Form::Commands => (0..count).for_each(|at| say(format_args!("vae-gpu sweep {words} --quiet --only {at}"))),
            Form::Slurm => say(format_args!(
                "#!/bin/sh\n#SBATCH --job-name=vae-gpu\n#SBATCH --array=0-{}\nvae-gpu sweep {words} --quiet --only \
                 \"$SLURM_ARRAY_TASK_ID\"",
                count - 1
            )),
        }
    }

    /// How far a run is.
    ///
    /// # Errors
    /// [`Error::Usage`] where it is one of another configuration.
    fn progress(&self, variant: &Variant) -> Result<Progress> {
        let path = self.folder().join(&variant.name);
        if !path.join("config.toml").exists() {
            return Ok(Progress::Missing);
        }
        let run = RunFolder::open(&path)?;
        let differs = |error: Error| {
            Error::Usage(format!("{}: it is a run of another sweep: {error}; give this one an --out", path.display()))
        };
        run.config()?.check_resumable(&variant.config).map_err(differs)?;
        let last = run.checkpoint("last");
        if !last.exists() {
            return Ok(Progress::Begun);
        }
        let state = Checkpoint::load(&last)?.header.state;
        let TrainConfig { epochs, patience, .. } = variant.config;
        let is_early = patience.is_some_and(|patience| state.epoch >= state.best_epoch.saturating_add(patience));
        Ok(if state.epoch >= epochs || is_early { Progress::Done } else { Progress::Begun })
    }
}
