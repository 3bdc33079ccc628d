//! `vae-gpu compare`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{say, table, thousands};
use crate::config::options;
use crate::error::{Error, Result};
use crate::files::check_target;
use crate::plot::{Curve, loss_curve};
use crate::train::summary::{Run, runs};

/// Show runs beside each other: the options that differ, the best figures, and a picture of their test losses
///
/// The best epoch is the one with the lowest test loss, in nats an image where the model's likelihood is; of a model
/// whose losses rank no epochs, as a GAN's, it is the last.
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu compare runs/small runs/large --out compared.png")]
pub(super) struct Compare {
    /// Two runs or more; a folder of runs, as a sweep has, stands for all of them
    #[arg(value_name = "RUN", required = true, num_args = 1..)]
    runs: Vec<PathBuf>,
    /// The picture of the test loss after each epoch
    #[arg(long, value_name = "FILE", default_value = "comparison.png")]
    out: PathBuf,
}

impl Compare {
    pub(super) fn run(mut self) -> Result<()> {
        check_target(&self.out)?;
        self.runs = self.runs.iter().map(|path| of_folder(path)).collect::<Result<Vec<_>>>()?.concat();
        if let [only] = &self.runs[..] {
            let only = only.display();
            return Err(Error::Usage(format!("{only}: it is one run: there must be two or more to compare")));
        }
        let runs = self.runs.iter().map(|path| Run::read(path)).collect::<Result<Vec<_>>>()?;
        for (run, path) in runs.iter().zip(&self.runs) {
            if run.epochs.is_empty() {
                let path = path.display();
                return Err(Error::Usage(format!("{path}: it has no epoch yet, so there is nothing to compare")));
            }
        }
        let names = self.names(&runs);
        let differing = differing(&runs)?;
        let mut rows = vec![[vec![String::new()], names.clone()].concat()];
        rows.extend(differing.iter().cloned());
        rows.extend(figures(&runs));
        table::print(&rows, &[]);

        let measured: Vec<&str> = differing.iter().map(|row| row[0].as_str()).filter(|key| measures(key)).collect();
        if !measured.is_empty() {
            say(format_args!("these runs differ in {}: their test losses don't measure the same", measured.join(", ")));
        }
        let curve = |(run, name): (&Run, &String)| Curve {
            name: name.clone(),
            points: run.epochs.iter().map(|line| (line.epoch as f64, run.test_loss(line))).collect(),
        };
        loss_curve(&runs.iter().zip(&names).map(curve).collect::<Vec<_>>())?.save(&self.out)?;
        say(format_args!("{}", self.out.display()));
        Ok(())
    }

    /// The folders' names; their paths as they were given, where two have one name.
    fn names(&self, runs: &[Run]) -> Vec<String> {
        let names: Vec<String> = runs.iter().map(Run::name).collect();
        match names.iter().collect::<BTreeSet<_>>().len() == names.len() {
            true => names,
            false => self.runs.iter().map(|path| path.display().to_string()).collect(),
        }
    }
}

/// The runs that a path stands for: itself, or those in it, if it is none.
fn of_folder(path: &Path) -> Result<Vec<PathBuf>> {
    if path.join("config.toml").exists() || !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let runs: Vec<PathBuf> = runs(path)?.into_iter().map(|(path, _)| path).collect();
    match runs.is_empty() {
        true => Err(Error::Usage(format!("{}: it is no run, and holds none", path.display()))),
        false => Ok(runs),
    }
}

/// Whether runs that differ in an option are not ranked by their test losses.
fn measures(key: &str) -> bool {
    options().any(|option| option.measures && option.key == key)
}

/// A row for each option that differs: its key, and its value in each run.
fn differing(runs: &[Run]) -> Result<Vec<Vec<String>>> {
    let tables = runs.iter().map(|run| run.config.to_table()).collect::<Result<Vec<_>>>()?;
    let keys: BTreeSet<&String> = tables.iter().flat_map(|table| table.keys()).collect();
    let mut rows = Vec::new();
    for key in keys {
        let values = tables.iter().map(|table| match table.get(key) {
            Some(toml::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => "-".to_owned(),
        });
        let row: Vec<String> = std::iter::once(key.clone()).chain(values).collect();
        if row[2..].iter().any(|value| *value != row[1]) {
            rows.push(row);
        }
    }
    Ok(rows)
}

/// A row a figure.
fn figures(runs: &[Run]) -> Vec<Vec<String>> {
    let row = |name: &str, value: &dyn Fn(&Run) -> Option<String>| {
        let values = runs.iter().map(|run| value(run).unwrap_or_else(|| "-".to_owned()));
        std::iter::once(name.to_owned()).chain(values).collect::<Vec<_>>()
    };
    let at_best = |set: &str, term: &str| {
        row(&format!("{set} {term}"), &|run| {
            let best = run.best()?;
            let value = if set == "test" {
                best.held_out_loss(term)
            } else {
                best.losses.get(&format!("{set}_{term}")).copied()
            };
            value.map(|value| format!("{value:.2}"))
        })
    };
    let mut terms: Vec<&str> = Vec::new();
    for term in runs.iter().flat_map(|run| &run.terms) {
        if !terms.contains(term) {
            terms.push(term);
        }
    }
    let mut rows = vec![
        row("architecture", &|run| Some(run.architecture())),
        row("epochs done", &|run| run.epochs.last().map(|line| line.epoch.to_string())),
        row("best epoch", &|run| run.best().map(|line| line.epoch.to_string())),
    ];
    for set in ["test", "train"] {
        rows.extend(terms.iter().map(|term| at_best(set, term)));
    }
    rows.push(row("images/s", &|run| run.images_per_s().map(|speed| thousands(speed.round()))));
    rows.push(row("seconds", &|run| Some(format!("{:.1}", run.seconds()))));
    rows.push(row("device", &|run| Some(run.devices().join(", "))));
    rows
}
