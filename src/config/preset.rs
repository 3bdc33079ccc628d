//! Configurations by name: TOML files that the binary carries.

use crate::error::{Error, Result};
use toml::Table;

/// The text of a preset's file.
macro_rules! preset_text {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/presets/", $name, ".toml"))
    };
}
pub(crate) use preset_text;

macro_rules! presets {
    ($($name:literal),+ $(,)?) => {
        /// Names and texts, in the order of the README's table.
        pub const PRESETS: &[(&str, &str)] = &[$(($name, preset_text!($name))),+];
    };
}

presets![
    "pytorch-vae",
    "sources-deep-vae",
    "sources-ae",
    "sources-bce-vae",
    "sources-bce-vae-uniform",
    "sources-collapsed",
    "sources-collapsed-normal",
    "sources-small-ae",
    "sources-small-vae",
    "sources-small-gan",
    "mnist-gan",
    "burda-vae",
    "burda-iwae-5",
    "burda-iwae-50",
    "keras-conv",
    "conv-64",
    "resnet-64",
    "pythae-celeba",
    "dcgan-64",
];

/// The keys of a preset.
///
/// # Errors
/// [`Error::Usage`] where there is none of this name; the message lists them.
pub fn preset(name: &str) -> Result<Table> {
    let Some((_, text)) = PRESETS.iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = PRESETS.iter().map(|(known, _)| *known).collect();
        return Err(Error::Usage(format!(
            "--preset {name}: there is none of this name; there are {}",
            known.join(", ")
        )));
    };
    toml::from_str(text).map_err(|error| Error::Usage(format!("--preset {name}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TrainConfig;

    #[test]
    fn every_preset_is_a_valid_configuration() {
        for (name, text) in PRESETS {
            assert!(text.starts_with('#'), "{name} says what it is");
            let config = TrainConfig::layered([preset(name).unwrap()]).unwrap();
            config.validate().unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        assert!(preset("none").unwrap_err().to_string().contains("burda-vae"));
    }
}
