//! Sweeps: files that stand for several configurations.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::{TrainConfig, beside, nearest, option};
use crate::error::{Error, Result, shown_toml};

/// A configuration of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// What sets it apart, as a folder's name: `beta=4,latent=8`.
    pub name: String,
    /// The configuration.
    pub config: TrainConfig,
}

/// Keys and values of all runs, lists of values of which every combination is a run, and runs of their own, each of which has every
/// combination.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SweepFile {
    #[serde(default)]
    options: Table,
    #[serde(default)]
    grid: BTreeMap<String, Vec<Value>>,
    #[serde(default)]
    runs: Vec<Table>,
}

/// Configurations of a sweep at most.
const MOST: usize = 10_000;
/// Characters of a name at most: of those that file systems take.
const LONGEST: usize = 120;

impl Variant {
    /// Reads a sweep: a TOML file with `[options]`, `[grid]` and `[[runs]]`, whose keys are those of a configuration file. Paths of data
    /// are relative to it. The last key of the grid, in alphabetical order, varies fastest.
    ///
    /// # Errors
    /// [`Error::Io`] where the file can't be read, [`Error::Format`] where it is no sweep, or a configuration is not allowed or there
    /// twice.
    pub fn read_all(path: &Path) -> Result<Vec<Variant>> {
        let text = std::fs::read_to_string(path).map_err(Error::io("reading", path))?;
        let bad = |reason: String| Error::format(path, reason);
        let SweepFile { options, grid, runs } = toml::from_str(&text).map_err(|error| bad(shown_toml(&error)))?;
        if let Some((key, _)) = grid.iter().find(|(_, values)| values.is_empty()) {
            return Err(bad(format!("grid: {key} has no value: give one at least, as {key} = [1, 2]")));
        }
        let runs = if runs.is_empty() { vec![Table::new()] } else { runs };
        let count = grid.values().try_fold(runs.len(), |count, values| count.checked_mul(values.len()));
        let count = count.filter(|count| *count <= MOST);
        let count =
            count.ok_or_else(|| bad(format!("it stands for more than {MOST} runs: it must be at most so many")))?;
        let mut variants = Vec::with_capacity(count);
        for run in &runs {
            for at in 0..count / runs.len() {
                let varied = [run.clone(), combination(&grid, at)].into_iter().flatten().collect::<Table>();
                variants.push(variant(path, &options, varied)?);
            }
        }
        let mut known = BTreeSet::new();
        match variants.iter().find(|variant| !known.insert(&variant.name)) {
            Some(twice) => Err(bad(format!("it has {} twice: every run must differ from the others", twice.name))),
            None => Ok(variants),
        }
    }
}

/// Values of a grid: the `at`-th combination.
fn combination(grid: &BTreeMap<String, Vec<Value>>, mut at: usize) -> Table {
    let mut table = Table::new();
    for (key, values) in grid.iter().rev() {
        table.insert(key.clone(), values[at % values.len()].clone());
        at /= values.len();
    }
    table
}

fn variant(path: &Path, options: &Table, varied: Table) -> Result<Variant> {
    let name = name(&varied);
    let bad = |reason: String| Error::format(path, if name.is_empty() { reason } else { format!("{name}: {reason}") });
    let table = [options.clone(), varied];
    for table in &table {
        let read = Value::Table(table.clone()).try_into::<TrainConfig>();
        read.map_err(|error| bad(format!("{}{}", shown_toml(&error), nearest(table))))?;
    }
    let [mut options, mut varied] = table;
    beside::resolve(&mut options, path)?;
    beside::resolve(&mut varied, path)?;
    let config = TrainConfig::layered([options, varied])?;
    config.validate().map_err(|error| bad(error.to_string()))?;
    Ok(Variant { name: if name.is_empty() { "run".to_owned() } else { name }, config })
}

/// Keys and values as a folder's name.
fn name(varied: &Table) -> String {
    let parts: Vec<String> = varied.iter().map(|(key, value)| format!("{key}={}", option::shown(value))).collect();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._=,:+-".contains(c) { c } else { '-' };
    parts.join(",").chars().map(plain).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Variant>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sweep.toml");
        std::fs::write(&path, text).unwrap();
        Variant::read_all(&path)
    }

    #[test]
    fn a_grid_has_every_combination_of_every_run() {
        let text = "options = { epochs = 3 }\ngrid = { latent = [2, 4], beta = [1, 0.5] }\nruns = [{ seed = 1 }, { hidden = [8, 4] }]";
        let variants = read(&text.replace("[1, 0.5]", "[1.0, 0.5]")).unwrap();
        let names: Vec<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
        let of_seed = [
            "beta=1,latent=2,seed=1",
            "beta=1,latent=4,seed=1",
            "beta=0.5,latent=2,seed=1",
            "beta=0.5,latent=4,seed=1",
        ];
        assert_eq!(names[..4], of_seed);
        assert_eq!(names[7], "beta=0.5,hidden=8,4,latent=4");
        let last = &variants[7].config;
        assert_eq!((last.epochs, last.latent, last.seed, last.hidden.clone()), (3, 4, 0, Some(vec![8, 4])));
        assert_eq!(read("").unwrap()[0].name, "run");
    }

    #[test]
    fn what_is_no_sweep_is_named() {
        for (text, part) in [
            ("latent = 3", "unknown field"),
            ("[grid]\nlatnet = [3]", "did you mean `latent`?"),
            ("[grid]\nlatent = []", "latent has no value"),
            ("[grid]\nlatent = 3", "line 2"),
            ("[grid]\nlatent = [0]", "latent=0: --latent"),
            ("[grid]\nlatent = [3, 3]", "latent=3 twice"),
            ("[options]\nlatent = 'two'", "expected usize"),
            ("[[runs]]\nlr = -1.0", "--lr"),
            (&format!("[grid]\nseed = {0:?}\nlatent = {0:?}", (1..200).collect::<Vec<u32>>()), "more than 10000"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("sweep.toml") && error.contains(part), "{text}: {error}");
        }
    }
}
