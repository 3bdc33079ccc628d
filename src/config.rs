//! What a training run is told: defaults, then a preset, then a TOML file, then flags; written back into its folder.

mod augment;
mod beside;
mod image_side;
mod noise;
mod preset;
mod reading;
mod rules;
mod schedule;

pub use image_side::ImageSide;
pub use preset::{PRESETS, preset};
pub use schedule::{BetaSchedule, Progress, RateSchedule};

use crate::backend::Precision;
use crate::data::{Background, Channels, DataSource, Header, ImageSize, Scale};
use crate::error::{Error, Result, shown_toml};
use crate::models::{Deviation, Initial, Loss, ModelConfig, ModelKind, Output, Penalty};
use crate::ops::{Activation, Adam, Augment, Augmentation, Noise, Pixels};
use crate::rng::Stream;
use serde::{Deserialize, Serialize};
use std::path::Path;
use toml::Table;

/// Binarisation of grey pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Binarise {
    /// They stay as they are
    None,
    /// 1 from one half on, else 0
    Threshold,
    /// 1 with the pixel's brightness as probability, drawn anew at every step
    Bernoulli,
}

/// Everything needed to run again. Each field is a flag of `vae-gpu train` and a key of a TOML file, spelled with hyphens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Which model.
    pub model: ModelKind,
    /// Sizes of the encoder's hidden layers, and in reverse the decoder's, unless either is given apart.
    pub hidden: Vec<usize>,
    /// Sizes of the encoder's (the discriminator's) hidden layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder: Option<Vec<usize>>,
    /// Sizes of the decoder's (the generator's) hidden layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoder: Option<Vec<usize>>,
    /// Dimensions of the latent.
    pub latent: usize,
    /// What follows each hidden layer.
    pub activation: Activation,
    /// What follows a code without noise.
    pub code_activation: Activation,
    /// What a reconstruction is scored by.
    pub loss: Loss,
    /// What the decoder's output is, where the loss does not read logits.
    pub output: Output,
    /// What the encoder's second half is.
    pub deviation: Deviation,
    /// How weights begin.
    pub init: Initial,
    /// Start the output's bias from the training data's mean.
    pub bias_from_mean: bool,
    /// Weight of the KL term.
    pub beta: f64,
    /// How beta gets there.
    pub beta_schedule: BetaSchedule,
    /// Nats a latent dimension below which KL is not lowered.
    pub free_bits: f64,
    /// Samples of the latent an image, for `iwae`.
    pub samples: usize,
    /// On the code of `ae`, or the generator's output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub penalty: Option<Penalty>,
    /// Weight of the squared Jacobian, for `contractive`.
    pub contraction: f64,
    /// What the encoder's input is corrupted with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<Noise>,
    /// How training images are changed by chance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augment: Option<Augmentation>,
    /// Images a step.
    pub batch_size: usize,
    /// Passes over the training images.
    pub epochs: u64,
    /// Adam's learning rate.
    pub lr: f64,
    /// How the rate changes.
    pub lr_schedule: RateSchedule,
    /// Decay of Adam's mean of gradients.
    pub adam_beta1: f64,
    /// Decay of Adam's mean of squared gradients.
    pub adam_beta2: f64,
    /// What Adam adds to the root of the second moment.
    pub adam_epsilon: f64,
    /// Decoupled weight decay (AdamW).
    pub weight_decay: f64,
    /// The gradient's largest norm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Epochs without a better test loss after which training stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// What every draw of the run depends on.
    pub seed: u32,
    /// Binarisation of grey pixels.
    pub binarise: Binarise,
    /// A folder, a file, or made-up data; the embedded MNIST where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<DataSource>,
    /// The test set, where it is not a part of the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_data: Option<DataSource>,
    /// The share of data without a test set that is trained on; 0.9 where it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<f64>,
    /// What a folder's images are resized to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<ImageSide>,
    /// Channels of a folder's images; RGB where any is coloured, if it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<Channels>,
    /// What lies behind transparent pixels.
    pub background: Background,
    /// Whether a table's first line names its columns.
    pub header: Header,
    /// A table's column of labels: its name, its number from 0, or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_column: Option<String>,
    /// A table's columns that are left out, by name or number from 0.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop_columns: Vec<String>,
    /// Leave out what can't be read or is not finite.
    pub drop_bad: bool,
    /// What becomes of the data's values.
    pub scale: Scale,
    /// MiB of a data set that stay on the device; a larger one is streamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_limit: Option<u64>,
    /// What products are computed in.
    pub precision: Precision,
    /// auto, cpu, gpu, an adapter's index or a part of its name.
    pub device: String,
}

impl Default for TrainConfig {
    fn default() -> TrainConfig {
        let (model, adam) = (ModelConfig::vae(1), Adam::default());
        TrainConfig {
            model: model.model,
            hidden: model.encoder,
            encoder: None,
            decoder: None,
            latent: model.latent,
            activation: model.activation,
            code_activation: model.code_activation,
            loss: model.loss,
            output: model.output,
            deviation: model.deviation,
            init: model.init,
            bias_from_mean: false,
            beta: 1.0,
            beta_schedule: BetaSchedule::Constant,
            free_bits: model.free_bits,
            samples: model.samples,
            penalty: model.penalty,
            contraction: model.contraction,
            noise: None,
            augment: None,
            batch_size: 128,
            epochs: 10,
            lr: 1e-3,
            lr_schedule: RateSchedule::Constant,
            adam_beta1: adam.beta1,
            adam_beta2: adam.beta2,
            adam_epsilon: adam.epsilon,
            weight_decay: 0.0,
            clip_norm: None,
            patience: None,
            seed: 0,
            binarise: Binarise::None,
            data: None,
            test_data: None,
            split: None,
            image_size: None,
            channels: None,
            background: Background::default(),
            header: Header::Auto,
            label_column: None,
            drop_columns: Vec::new(),
            drop_bad: false,
            scale: Scale::Auto,
            resident_limit: None,
            precision: Precision::F32,
            device: "auto".to_owned(),
        }
    }
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
            if table.contains_key("hidden") && !table.contains_key("encoder") && !table.contains_key("decoder") {
                all.remove("encoder");
                all.remove("decoder");
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

    /// The architecture, for images of `features` pixels.
    pub fn architecture(&self, features: usize) -> ModelConfig {
        let reversed = || self.hidden.iter().rev().copied().collect();
        ModelConfig {
            model: self.model,
            features,
            encoder: self.encoder.clone().unwrap_or_else(|| self.hidden.clone()),
            decoder: self.decoder.clone().unwrap_or_else(reversed),
            latent: self.latent,
            activation: self.activation,
            code_activation: self.code_activation,
            loss: self.loss,
            output: self.output,
            deviation: self.deviation,
            init: self.init,
            samples: self.samples,
            free_bits: self.free_bits,
            penalty: self.penalty,
            contraction: self.contraction,
        }
    }

    /// What the training batches read.
    pub fn pixels(&self) -> Pixels {
        match self.binarise {
            Binarise::None => Pixels::Grey,
            Binarise::Threshold => Pixels::Threshold,
            Binarise::Bernoulli => Pixels::Bernoulli(Stream::Pixels),
        }
    }

    /// How training images of this size are changed.
    pub fn augment(&self, ImageSize { height, width, channels }: ImageSize) -> Option<Augment> {
        let stream = Stream::Augmentation;
        self.augment.map(|augmentation| Augment { augmentation, height, width, channels, stream })
    }

    /// Adam's constants.
    pub fn adam(&self) -> Adam {
        Adam { beta1: self.adam_beta1, beta2: self.adam_beta2, epsilon: self.adam_epsilon }
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

/// Which key the first unknown one may be meant for, as the end of a message.
fn nearest(table: &Table) -> String {
    let known = serde_aux::prelude::serde_introspect::<TrainConfig>();
    let Some(unknown) = table.keys().find(|key| !known.contains(&key.as_str())) else { return String::new() };
    let similar = known.iter().map(|key| (strsim::jaro_winkler(key, unknown), key));
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

    #[test]
    fn a_configuration_survives_toml() {
        let config = TrainConfig {
            encoder: Some(vec![5, 3]),
            seed: u32::MAX,
            beta: 0.1,
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
        assert_eq!((config.latent, config.architecture(9).decoder), (2, vec![6]));
        let config = TrainConfig::layered([table(apart), table("hidden = [7, 5]")]).unwrap();
        assert_eq!(config.architecture(9).decoder, [5, 7]);
        assert!(TrainConfig::layered([table("latent = 'two'")]).is_err());
    }
}
