//! The flags of `vae-gpu train` that are also keys of a configuration file.

use clap::{ArgMatches, Args, Command, FromArgMatches};
use toml::{Table, Value};

use crate::config::{TrainConfig, options};

/// The keys given, each as its flag says.
#[derive(Debug)]
pub(super) struct Flags(Table);

impl Flags {
    /// Those that give these keys.
    pub(super) fn of(keys: Table) -> Flags {
        Flags(keys)
    }

    /// Whether data are named, so that it is meant where they are not those of a run.
    pub(super) fn names_data(&self) -> bool {
        ["data", "test-data"].iter().any(|key| self.0.contains_key(*key))
    }

    /// The keys given.
    pub(super) fn table(&self) -> Table {
        self.0.clone()
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let defaults = TrainConfig::default().to_table().unwrap_or_default();
        command.args(options().map(|option| option.flag(defaults.get(option.key))))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Flags, clap::Error> {
        let given = |key| matches.get_many::<Value>(key)?.cloned().reduce(joined);
        Ok(Flags(options().filter_map(|option| Some((option.key.to_owned(), given(option.key)?))).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.extend(Flags::from_arg_matches(matches)?.0);
        Ok(())
    }
}

/// What a repeated flag says: lists are one list.
fn joined(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Array(first), Value::Array(second)) => Value::Array([first, second].concat()),
        (_, second) => second,
    }
}
