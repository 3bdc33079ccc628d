//! The configuration of a training run: defaults, then a preset, then a TOML file, then flags; written back into its folder.

mod augment;
mod beside;
mod beta;
mod image_side;
mod networks;
mod noise;
mod option;
mod options;
mod preset;
mod reading;
mod rules;
mod schedule;
mod sweep;
mod training;

pub use beta::Beta;
pub use image_side::ImageSide;
pub use networks::{ConvNorm, LayerList, Upsampling};
pub use options::TrainConfig;
pub(crate) use options::options;
pub(crate) use preset::preset_text;
pub use preset::{PRESETS, preset};
pub(crate) use rules::may_change;
pub use schedule::{BetaSchedule, Progress, RateSchedule};
pub use sweep::Variant;
pub use training::Training;

use crate::data::{Condition, ImageSize, Schema};
use crate::error::{Error, Result, shown_toml};
use crate::models::{self, ModelConfig};
use crate::ops::{Adam, Augment, Pixels};
use crate::optim::{AdamW, Optimiser};
use crate::rng::Stream;
use serde::{Deserialize, Serialize};
use std::path::Path;
use toml::Table;

/// Binarisation of grey pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Binarise {
    /// None: grey values as they are
    None,
    /// Threshold at one half: 1 from there on, else 0
    Threshold,
    /// 1 with the pixel's brightness as probability, drawn anew at every step
    Bernoulli,
}

/// The way from options to an architecture and back, by the names of the fields that both have.
macro_rules! architecture {
    ($($field:ident),+) => {
        /// The architecture, for images of this height, width and channels, without a condition.
        ///
        /// # Errors
        /// [`Error::Usage`] where they are too small for the convolutions.
        pub fn architecture(&self, image: [usize; 3]) -> Result<ModelConfig> {
            Ok(ModelConfig {
                model: self.model,
                image,
                encoder: self.encoder_layers(),
                decoder: self.decoder_layers(image)?,
                condition: None,
                target: self.beta.target(),
                $($field: self.$field),+
            })
        }

        /// The same with the options of this architecture.
        pub(crate) fn with_architecture(self, model: &ModelConfig) -> TrainConfig {
            let [encoder, decoder] = [&model.encoder, &model.decoder].map(|layers| Some(LayerList::Layers(layers.clone())));
            let condition = model.condition.map(|condition| match condition {
                models::Condition::Class(_) => Condition::Label,
                models::Condition::Number => Condition::Number,
            });
            let beta = model.target.map_or(self.beta, |target| Beta::Auto { target });
            TrainConfig { model: model.model, encoder, decoder, condition, beta, $($field: model.$field,)+ ..self }
        }
    };
}

impl TrainConfig {
    /// Reads a TOML file; what it leaves out has its default. Paths of data are relative to the file.
    ///
    /// # Errors
    /// Where the file cannot be read, or holds an unknown key or a wrong value; the message names the line.
    pub fn load(path: &Path) -> Result<TrainConfig> {
        from_table(TrainConfig::table(path)?)
    }

    /// A TOML file's keys, each of which is known and has a value of the right kind; paths of data are absolute.
    ///
    /// # Errors
    /// As [`TrainConfig::load`].
    pub fn table(path: &Path) -> Result<Table> {
        let mut table = read_table(path)?;
        beside::resolve(&mut table, path)?;
        Ok(table)
    }

    /// Reads the file of a run: [`TrainConfig::load`], but for paths of data, which stay as the run was told them.
    pub(crate) fn load_of_run(path: &Path) -> Result<TrainConfig> {
        from_table(read_table(path)?)
    }

    /// Defaults, overlaid by each table in turn.
    ///
    /// # Errors
    /// [`Error::Usage`] where a table holds a key or a value that is none.
    pub fn layered(tables: impl IntoIterator<Item = Table>) -> Result<TrainConfig> {
        let mut all = Table::new();
        for table in tables {
            // One shape replaces another: sizes said together those said apart, and the reverse.
            let [short, long] = [["hidden", "conv"], ["encoder", "decoder"]];
            if short.iter().any(|key| table.contains_key(*key)) && !long.iter().any(|key| table.contains_key(*key)) {
                long.iter().for_each(|key| drop(all.remove(*key)));
            }
            all.extend(table);
        }
        from_table(all)
    }

    /// The keys and values of [`TrainConfig::to_toml`].
    ///
    /// # Errors
    /// None for a configuration whose numbers fit TOML's.
    pub fn to_table(&self) -> Result<Table> {
        Table::try_from(self).map_err(|error| Error::Usage(format!("the configuration cannot be written: {error}")))
    }

    /// The file that [`TrainConfig::load`] reads back.
    ///
    /// # Errors
    /// As [`TrainConfig::to_table`].
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| Error::Usage(format!("the configuration cannot be written: {error}")))
    }

    architecture! {
        latent, code_activation, prior, loss, variance, output, deviation, init, samples, free_bits, penalty, contraction
    }

    /// The architecture, for data of this form.
    ///
    /// # Errors
    /// As [`TrainConfig::architecture`].
    pub fn architecture_for(&self, schema: &Schema) -> Result<ModelConfig> {
        let condition = self.condition.map(|condition| match condition {
            Condition::Label => models::Condition::Class(schema.classes.len()),
            Condition::Number => models::Condition::Number,
        });
        Ok(ModelConfig { condition, ..self.architecture(schema.size.extents())? })
    }

    /// Preprocessing of training pixels.
    pub fn pixels(&self) -> Pixels {
        match self.binarise {
            Binarise::None => Pixels::Grey,
            Binarise::Threshold => Pixels::Threshold,
            Binarise::Bernoulli => Pixels::Bernoulli(Stream::Pixels),
        }
    }

    /// Augmentation of training images of this size.
    pub fn augment(&self, ImageSize { height, width, channels }: ImageSize) -> Option<Augment> {
        let stream = Stream::Augmentation;
        self.augment.map(|augmentation| Augment { augmentation, height, width, channels, stream })
    }

    /// What updates the parameters.
    pub fn optimiser(&self) -> Optimiser {
        let adam = Adam { beta1: self.adam_beta1, beta2: self.adam_beta2, epsilon: self.adam_epsilon };
        Optimiser { rule: AdamW { adam, weight_decay: self.weight_decay }, clip: self.clip_norm }
    }
}

/// A TOML file's keys as they are written.
fn read_table(path: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(path).map_err(Error::io("reading", path))?;
    let bad = |reason: String| Error::format(path, reason);
    let table: Table = toml::from_str(&text).map_err(|error| bad(shown_toml(&error)))?;
    // Names the line of a wrong key or value.
    toml::from_str::<TrainConfig>(&text).map_err(|error| bad(format!("{}{}", shown_toml(&error), nearest(&table))))?;
    Ok(table)
}

/// The key that the first unknown one may be meant for, as the end of a message.
fn nearest(table: &Table) -> String {
    let Some(unknown) = table.keys().find(|key| !options().any(|option| option.key == *key)) else {
        return String::new();
    };
    let similar = options().map(|option| (strsim::jaro_winkler(option.key, unknown), option.key));
    match similar.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((likeness, key)) if likeness > 0.75 => format!("did you mean `{key}`?"),
        _ => String::new(),
    }
}

fn from_table(table: Table) -> Result<TrainConfig> {
    let bad = |error: toml::de::Error| Error::Usage(format!("configuration: {}", shown_toml(&error)));
    toml::Value::Table(table).try_into().map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Layer;
    use crate::ops::Activation;
    use crate::ops::Noise;

    #[test]
    fn a_configuration_survives_toml() {
        let config = TrainConfig {
            encoder: Some(LayerList::Sizes(vec![5, 3])),
            seed: u32::MAX,
            beta: Beta::Fixed(0.1),
            beta_schedule: BetaSchedule::Cyclical { cycles: 4 },
            lr_schedule: "steps:1,4,13:0.5".parse().unwrap(),
            noise: Some(Noise::Mask { fraction: 0.25 }),
            penalty: Some("l1:0.001".parse().unwrap()),
            data: Some("uniform:10x4".parse().unwrap()),
            ..TrainConfig::default()
        };
        let text = config.to_toml().unwrap();
        assert_eq!(toml::from_str::<TrainConfig>(&text).unwrap(), config);
        assert!(toml::from_str::<TrainConfig>("latnet = 3").is_err());
    }

    #[test]
    fn an_unknown_key_gets_the_nearest_one_and_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let message = |text: &str| {
            std::fs::write(&path, text).unwrap();
            TrainConfig::table(&path).unwrap_err().to_string()
        };
        let error = message("seed = 1\nlatnet = 3\n");
        assert!(
            error.contains("config.toml") && error.contains("line 2") && error.contains("did you mean `latent`?"),
            "{error}"
        );
        assert!(message("batchsize = 3").contains("`batch-size`?"));
        assert!(!message("qqq = 3").contains("did you mean"));
        let error = message("latent = \"two\"");
        assert!(error.contains("line 1") && error.contains("string") && !error.contains("did you mean"), "{error}");
        let error = message(&format!("latent = \"{}\"", "x".repeat(1 << 20)));
        assert!(error.contains("line 1") && error.contains("expected usize") && error.len() < 2000, "{error}");
    }

    #[test]
    fn later_layers_win_and_shapes_replace_each_other() {
        let table = |text: &str| toml::from_str::<Table>(text).unwrap();
        let apart = "encoder = [8, 4]\ndecoder = [6]\nlatent = 3";
        let config = TrainConfig::layered([table(apart), table("latent = 2")]).unwrap();
        assert_eq!(
            (config.latent, config.architecture([1, 1, 9]).unwrap().decoder),
            (2, Layer::dense(&[6], Activation::Relu))
        );
        let config = TrainConfig::layered([table(apart), table("hidden = [7, 5]")]).unwrap();
        assert_eq!(config.architecture([1, 1, 9]).unwrap().decoder, Layer::dense(&[5, 7], Activation::Relu));
        assert!(TrainConfig::layered([table("latent = 'two'")]).is_err());
    }
}
