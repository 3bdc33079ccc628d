//! The flags of `vae-gpu train` that are also keys of a configuration file.

use clap::Args;
use serde::Serialize;
use toml::Table;

use crate::backend::Precision;
use crate::config::{BetaSchedule, Binarise, ImageSide, RateSchedule};
use crate::data::{Background, Channels, DataSource, Header, Scale};
use crate::error::{Error, Result};
use crate::models::{Deviation, Initial, Loss, ModelKind, Output, Penalty};
use crate::ops::{Activation, Augmentation, Noise};

/// Each flag is the key of the same name; what is not given is not in the table.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Flags {
    /// Which model [default: vae]
    #[arg(long, value_enum)]
    model: Option<ModelKind>,
    /// Sizes of the encoder's hidden layers, as 400 or 512,256, or none; the decoder has them in reverse [default: 400]
    #[arg(long, value_name = "SIZES", value_parser = parse_sizes)]
    hidden: Option<Sizes>,
    /// Sizes of the encoder's (a GAN's discriminator's) hidden layers, where they differ
    #[arg(long, value_name = "SIZES", value_parser = parse_sizes)]
    encoder: Option<Sizes>,
    /// Sizes of the decoder's (a GAN's generator's) hidden layers, where they differ
    #[arg(long, value_name = "SIZES", value_parser = parse_sizes)]
    decoder: Option<Sizes>,
    /// Dimensions of the latent [default: 20]
    #[arg(long, value_name = "N")]
    latent: Option<usize>,
    /// After each hidden layer: identity, relu, leaky-relu, tanh, sigmoid or softplus [default: relu]
    #[arg(long, value_name = "NAME", value_parser = parse_activation)]
    activation: Option<Activation>,
    /// After the code of ae, collapsed and contractive [default: identity]
    #[arg(long, value_name = "NAME", value_parser = parse_activation)]
    code_activation: Option<Activation>,
    /// What a reconstruction is scored by [default: bce]
    #[arg(long, value_enum)]
    loss: Option<Loss>,
    /// What the decoder's output is, where the loss does not read logits [default: sigmoid]
    #[arg(long, value_enum)]
    output: Option<Output>,
    /// What the second half of a posterior is [default: logvar]
    #[arg(long, value_enum)]
    deviation: Option<Deviation>,
    /// How weights begin [default: linear]
    #[arg(long, value_enum)]
    init: Option<Initial>,
    /// Start the output's bias from the training data's mean [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    bias_from_mean: Option<bool>,
    /// Weight of the KL term of vae [default: 1]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    beta: Option<f64>,
    /// How beta gets there: constant, linear:EPOCHS or cyclical:CYCLES [default: constant]
    #[arg(long, value_name = "SCHEDULE")]
    beta_schedule: Option<BetaSchedule>,
    /// Nats a latent dimension below which the KL of vae is not lowered [default: 0]
    #[arg(long, value_name = "NATS", allow_negative_numbers = true)]
    free_bits: Option<f64>,
    /// Samples of the latent an image, for iwae [default: 1]
    #[arg(long, value_name = "K")]
    samples: Option<usize>,
    /// l1:WEIGHT or l2:WEIGHT, on the code of ae or the output of a GAN's generator [default: none]
    #[arg(long, value_name = "PENALTY")]
    penalty: Option<Penalty>,
    /// Weight of the encoder's squared Jacobian, for contractive [default: 0.1]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    contraction: Option<f64>,
    /// gaussian:DEVIATION or mask:FRACTION, on what the encoder reads in training [default: none]
    #[arg(long, value_name = "NOISE")]
    noise: Option<Noise>,
    /// shift:PIXELS, flip, or shift:PIXELS,flip: move and mirror training images by chance [default: none]
    #[arg(long, value_name = "HOW")]
    augment: Option<Augmentation>,
    /// Images a step [default: 128]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Passes over the training set, counted from the run's beginning [default: 10]
    #[arg(long, value_name = "N")]
    epochs: Option<u64>,
    /// Adam's learning rate [default: 0.001]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    lr: Option<f64>,
    /// How it changes: constant, cosine, or steps:EPOCH,EPOCH,...:FACTOR [default: constant]
    #[arg(long, value_name = "SCHEDULE")]
    lr_schedule: Option<RateSchedule>,
    /// Decay of Adam's mean of gradients [default: 0.9]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    adam_beta1: Option<f64>,
    /// Decay of Adam's mean of squared gradients [default: 0.999]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    adam_beta2: Option<f64>,
    /// What Adam adds to the root of the second moment [default: 1e-8]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    adam_epsilon: Option<f64>,
    /// Decoupled weight decay, AdamW's [default: 0]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    weight_decay: Option<f64>,
    /// Shorten a longer gradient to this norm [default: none]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    clip_norm: Option<f64>,
    /// Stop after N epochs without a better test loss [default: never]
    #[arg(long, value_name = "N")]
    patience: Option<u64>,
    /// Seed of all randomness, below 2^32: the same seed gives the same run [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
    /// What becomes of grey pixels [default: none]
    #[arg(long, value_enum)]
    binarise: Option<Binarise>,
    /// auto, cpu, gpu, or an adapter's index or name as `vae-gpu devices` lists them [default: auto]
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// What products are computed in [default: f32]
    #[arg(long, value_enum)]
    precision: Option<Precision>,
    /// Keep at most so many MiB of a data set on the device, and stream a larger one; a larger .npy file is read in pieces
    /// [default: what the device allows, 2048 in memory]
    #[arg(long, value_name = "MIB")]
    resident_limit: Option<u64>,
    /// A folder of images (sub-folders are labels) or of the four IDX files; a .npy, .npz (or FILE.npz:ARRAY), .csv or
    /// .tsv file; uniform:NxD or normal:NxD, made up [default: the embedded MNIST]
    #[arg(long, value_name = "DATA")]
    data: Option<DataSource>,
    /// The test set, where it is not a part of --data
    #[arg(long, value_name = "DATA", conflicts_with = "split")]
    test_data: Option<DataSource>,
    /// Share of the examples that is trained on, where the data have no test set [default: 0.9]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    split: Option<f64>,
    /// Resize a folder's images, as 64x64: height, then width [default: all have one size]
    #[arg(long, value_name = "HxW")]
    image_size: Option<ImageSide>,
    /// Read a folder's images as grey or as RGB [default: RGB where any is coloured]
    #[arg(long, value_enum)]
    channels: Option<Channels>,
    /// Colour behind transparent pixels, as CSS writes it: white, #ff8000 [default: black]
    #[arg(long, value_name = "COLOUR")]
    background: Option<Background>,
    /// Whether a table's first line names its columns [default: auto]
    #[arg(long, value_enum)]
    header: Option<Header>,
    /// A table's column of labels, by name or number from 0, or none [default: one called label, class or target]
    #[arg(long, value_name = "COLUMN")]
    label_column: Option<String>,
    /// A table's columns to leave out, by name or number from 0, as a list: id,4
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    drop_columns: Vec<String>,
    /// Leave out images that can't be read and examples that are not finite [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    drop_bad: Option<bool>,
    /// What becomes of the data's values; undone in arrays that are written [default: auto]
    #[arg(long, value_enum)]
    scale: Option<Scale>,
}

impl Flags {
    /// Whether data are named, so that it is meant where they are not those of a run.
    pub(super) fn names_data(&self) -> bool {
        self.data.is_some() || self.test_data.is_some()
    }

    /// The keys given.
    pub(super) fn table(&self) -> Result<Table> {
        let kept = |error: toml::ser::Error| Error::Usage(format!("the flags can't be kept: {error}"));
        let mut table = Table::try_from(self).map_err(kept)?;
        for (key, source) in [("data", &self.data), ("test-data", &self.test_data)] {
            if let Some(source) = source {
                // The run must find it again from any folder.
                let source = toml::Value::try_from(source.clone().resolved()).map_err(kept)?;
                table.insert(key.to_owned(), source);
            }
        }
        Ok(table)
    }
}

#[derive(Clone, Debug, Serialize)]
struct Sizes(Vec<usize>);

fn parse_sizes(text: &str) -> Result<Sizes, String> {
    if text == "none" {
        return Ok(Sizes(Vec::new()));
    }
    let size = |word: &str| {
        word.trim().parse().map_err(|_| format!("{word:?} is no size: give 400, a list as 512,256, or none"))
    };
    text.split(',').map(size).collect::<Result<_, _>>().map(Sizes)
}

fn parse_activation(text: &str) -> Result<Activation, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| "it must be identity, relu, leaky-relu, tanh, sigmoid or softplus".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_sizes_are_read_or_refused() {
        assert_eq!(parse_sizes("512, 256").unwrap().0, [512, 256]);
        assert!(parse_sizes("none").unwrap().0.is_empty());
        for text in [",", "", "400,", "a", "-1"] {
            assert!(parse_sizes(text).unwrap_err().contains("no size"), "{text}");
        }
        assert_eq!(parse_activation("leaky-relu").unwrap(), Activation::LeakyRelu);
        assert!(parse_activation("Relu").is_err());
    }
}
