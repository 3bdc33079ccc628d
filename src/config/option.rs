//! One option: how its flag is read, its allowed values, the models that have it. `options.rs` lists them all.

use std::fmt::Display;
use std::str::FromStr;

use clap::builder::{BoolValueParser, EnumValueParser, IntoResettable, TypedValueParser, ValueParser};
use clap::{Arg, ArgAction, ValueEnum};
use serde::Serialize;
use toml::Value;

use super::TrainConfig;
use super::rules::Checked;
use crate::data::DataSource;
use crate::error::{Error, Result};
use crate::models::{Capability, ModelConfig};
use crate::ops::Activation;

/// A flag of `vae-gpu train` that is a field of [`TrainConfig`] and a key of its file.
#[derive(Debug)]
pub(crate) struct ConfigOption {
    /// The key; with two hyphens the flag.
    pub(crate) key: &'static str,
    /// Whether runs that differ in it have test losses of different measures.
    pub(crate) measures: bool,
    /// Whether a resumed run may change it.
    pub(crate) may_change: bool,
    /// Whether it decides what training computes, so that a checkpoint keeps it; the architecture apart, which has its own place
    /// there.
    pub(crate) trains: bool,
    doc: &'static str,
    arg: Arg,
    unset: Option<&'static str>,
    capability: Option<Capability>,
    check: fn(&TrainConfig) -> Checked,
    differs: fn(&TrainConfig, &TrainConfig) -> bool,
}

impl ConfigOption {
    /// An option whose flag's value is a [`Value`], as the key has it.
    fn new(value_name: &'static str, parser: impl IntoResettable<ValueParser>) -> ConfigOption {
        ConfigOption {
            key: "",
            measures: false,
            may_change: false,
            trains: false,
            doc: "",
            arg: Arg::new("").value_name(value_name).value_parser(parser).allow_negative_numbers(true),
            unset: None,
            capability: None,
            check: |_| Ok(()),
            differs: |_, _| false,
        }
    }

    /// Names the default of an option that is not set, for `--help`.
    pub(super) fn unset(self, default: &'static str) -> ConfigOption {
        ConfigOption { unset: Some(default), ..self }
    }

    /// Refuses another flag beside this one.
    pub(super) fn conflicts_with(self, key: &'static str) -> ConfigOption {
        ConfigOption { arg: self.arg.conflicts_with(key), ..self }
    }

    /// Refuses values other than the default for models without a capability. Those of [`ModelConfig`] have theirs there.
    pub(super) fn only_with(self, capability: Capability) -> ConfigOption {
        ConfigOption { capability: Some(capability), ..self }
    }

    /// Refuses values that fail a check.
    pub(super) fn checked(self, check: fn(&TrainConfig) -> Checked) -> ConfigOption {
        ConfigOption { check, ..self }
    }

    /// Marks [`ConfigOption::measures`].
    pub(super) fn measures(self) -> ConfigOption {
        ConfigOption { measures: true, ..self }
    }

    /// Marks [`ConfigOption::may_change`].
    pub(super) fn may_change(self) -> ConfigOption {
        ConfigOption { may_change: true, ..self }
    }

    /// Marks [`ConfigOption::trains`].
    pub(super) fn trains(self) -> ConfigOption {
        ConfigOption { trains: true, ..self }
    }

    /// The option of a field with this name and doc, and a comparison of the field in two configurations. Made once: the
    /// key is leaked, since clap takes names that live as long as the program.
    pub(super) fn of_field(
        self,
        name: &str,
        doc: &'static str,
        differs: fn(&TrainConfig, &TrainConfig) -> bool,
    ) -> ConfigOption {
        let key = name.replace('_', "-").leak();
        ConfigOption { key, doc, differs, capability: self.capability.or(ModelConfig::capability(key)), ..self }
    }

    /// Checks the option's value in a configuration, and that the model has the option where it is not the default's.
    pub(super) fn check(&self, config: &TrainConfig, default: &TrainConfig) -> Result<()> {
        (self.check)(config).map_err(|reason| Error::Usage(format!("--{} {reason}", self.key)))?;
        match self.capability {
            Some(capability) if (self.differs)(config, default) => config.model.check_option(self.key, capability),
            _ => Ok(()),
        }
    }

    /// The flag; `default` is the key's value in the default configuration.
    pub(crate) fn flag(&self, default: Option<&Value>) -> Arg {
        let mut help = self.doc.trim().trim_end_matches('.').to_owned();
        if let Some(capability) = self.capability {
            help += &format!(" [for: {}]", capability.models());
        }
        if let Some(default) = default.map(shown).or(self.unset.map(str::to_owned)) {
            help += &format!(" [default: {default}]");
        }
        self.arg.clone().id(self.key).long(self.key).help(help)
    }
}

/// An option of any type that has a text.
pub(super) fn parsed<T: FromStr<Err: Display> + Serialize>(value_name: &'static str) -> ConfigOption {
    let parser = |text: &str| value(&text.parse::<T>().map_err(|error| error.to_string())?);
    ConfigOption::new(value_name, ValueParser::new(parser))
}

/// An option with named values.
pub(super) fn choice<T: ValueEnum + Serialize + Send + Sync + 'static>(value_name: &'static str) -> ConfigOption {
    ConfigOption::new(value_name, EnumValueParser::<T>::new().try_map(|chosen| value(&chosen)))
}

/// An option that is on where its flag has no value.
pub(super) fn switch() -> ConfigOption {
    let switch = ConfigOption::new("BOOL", BoolValueParser::new().map(Value::from));
    ConfigOption { arg: switch.arg.num_args(0..=1).default_missing_value("true"), ..switch }
}

/// Layer sizes.
pub(super) fn sizes() -> ConfigOption {
    ConfigOption::new("SIZES", ValueParser::new(|text: &str| value(&read_sizes(text)?)))
}

/// An activation.
pub(super) fn activation() -> ConfigOption {
    ConfigOption::new("NAME", ValueParser::new(|text: &str| value(&read_activation(text)?)))
}

/// Data, as a path that names them from any folder.
pub(super) fn data() -> ConfigOption {
    let source = |text: &str| text.parse::<DataSource>().map_err(|error| error.to_string());
    ConfigOption::new("DATA", ValueParser::new(move |text: &str| value(&source(text)?.resolved())))
}

/// Texts with commas between them; the flag may be repeated.
pub(super) fn list(value_name: &'static str) -> ConfigOption {
    let parser = |text: &str| value(&text.split(',').collect::<Vec<_>>());
    let list = ConfigOption::new(value_name, ValueParser::new(parser));
    ConfigOption { arg: list.arg.action(ArgAction::Append), ..list }
}

/// A value as its key has it.
fn value<T: Serialize>(value: &T) -> Result<Value, String> {
    Value::try_from(value).map_err(|error| error.to_string())
}

/// A value as its flag takes it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Float(number) => format!("{number:?}").trim_end_matches(".0").to_owned(), // 1e-8, not 0.00000001
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn read_sizes(text: &str) -> Result<Vec<usize>, String> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let size = |word: &str| {
        word.trim().parse().map_err(|_| format!("{word:?} is no size: give 400, a list as 512,256, or none"))
    };
    text.split(',').map(size).collect()
}

fn read_activation(text: &str) -> Result<Activation, String> {
    let read = Value::from(text).try_into::<Activation>();
    read.map_err(|_| "it must be identity, relu, leaky-relu, tanh, sigmoid, softplus, silu or gelu".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_sizes_are_read_or_refused() {
        assert_eq!(read_sizes("512, 256").unwrap(), [512, 256]);
        assert!(read_sizes("none").unwrap().is_empty());
        for text in [",", "", "400,", "a", "-1"] {
            assert!(read_sizes(text).unwrap_err().contains("no size"), "{text}");
        }
        assert_eq!(read_activation("leaky-relu").unwrap(), Activation::LeakyRelu);
        let message = read_activation("swish").unwrap_err();
        for activation in Activation::ALL {
            let name = Value::try_from(activation).unwrap().as_str().unwrap().to_owned();
            assert!(read_activation(&name).unwrap() == activation && message.contains(&name), "{name}");
        }
        assert!(read_activation("Relu").is_err());
    }

    #[test]
    fn defaults_are_shown_as_flags_take_them() {
        let shown = |text: &str| shown(&toml::from_str::<toml::Table>(text).unwrap()["x"]);
        assert_eq!([shown("x = 1e-8"), shown("x = 1.0"), shown("x = 0.1")], ["1e-8", "1", "0.1"]);
        assert_eq!([shown("x = [5, 3]"), shown("x = 'relu'"), shown("x = false")], ["5,3", "relu", "false"]);
    }
}
