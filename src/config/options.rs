//! Every option, declared once: field and key, type, default, doc, which is its text in `--help` too, and as a
//! [`ConfigOption`] how its flag is read, its allowed values, the models that have it, and whether a resumed run may
//! change it, and whether a checkpoint keeps it. One of the architecture is a field of [`ModelConfig`] too, which has its allowed values and its models.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::option::{ConfigOption, activation, choice, data, list, parsed, sizes, switch};
use super::rules::{above_zero, at_least_one, below_one, beta, binarised, from_zero, if_given, noise, shards, share};
use super::{Beta, BetaSchedule, Binarise, ConvNorm, ImageSide, LayerList, RateSchedule, Upsampling, networks};
use crate::backend::Precision;
use crate::data::{Background, Channels, Condition, DataSource, Header, Scale};
use crate::models::Capability::{Encoder, RankingLoss, WeightedKl};
use crate::models::{Deviation, Initial, Loss, ModelConfig, ModelKind, Output, Penalty, Prior, Variance};
use crate::ops::{Activation, Adam, Augmentation, Noise};

macro_rules! options {
    ($($(#[doc = $doc:literal])+ $(#[serde($serde:meta)])? $name:ident: $type:ty = $default:expr, $option:expr;)+) => {
        /// Everything needed to run again. Each field is a flag of `vae-gpu train` and a key of a TOML file, spelled
        /// with hyphens.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct TrainConfig { $($(#[doc = $doc])+ $(#[serde($serde)])? pub $name: $type,)+ }

        impl Default for TrainConfig {
            fn default() -> TrainConfig {
                TrainConfig { $($name: $default,)+ }
            }
        }

        static OPTIONS: LazyLock<Vec<ConfigOption>> = LazyLock::new(|| {
            vec![$($option.of_field(stringify!($name), concat!($($doc),+), |a, b| a.$name != b.$name)),+]
        });
    };
}

/// All options, in the order of their fields.
pub(crate) fn options() -> impl Iterator<Item = &'static ConfigOption> {
    OPTIONS.iter()
}

/// The default architecture.
fn vae() -> ModelConfig {
    ModelConfig::vae(1)
}

options! {
    /// Kind of model.
    model: ModelKind = vae().model, choice::<ModelKind>("MODEL").measures();
    /// Channels of convolutions, as 32,64,128, each of which halves the image; the decoder has them in reverse.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conv: Vec<usize> = Vec::new(), sizes().unset("none").checked(networks::conv);
    /// Side of the convolutions' kernels.
    kernel: usize = 4, parsed::<usize>("N").checked(networks::kernel);
    /// Normalisation behind each of the convolutions.
    norm: ConvNorm = ConvNorm::None, choice::<ConvNorm>("NORM")
        .checked(|c| networks::with_conv(c, c.norm != ConvNorm::None));
    /// How the decoder doubles an image.
    upsample: Upsampling = Upsampling::Transposed, choice::<Upsampling>("HOW")
        .checked(|c| networks::with_conv(c, c.upsample != Upsampling::Transposed));
    /// Residual blocks behind each of the convolutions, and before each of the decoder's.
    blocks: usize = 0, parsed::<usize>("N").checked(|c| networks::blocks(c).and(networks::with_conv(c, c.blocks > 0)));
    /// Sizes of the encoder's dense hidden layers, as 400 or 512,256, or none; the decoder has them in reverse.
    hidden: Option<Vec<usize>> = None, sizes().unset("400, or none with --conv");
    /// The encoder's (a GAN's discriminator's) layers, where they differ: sizes of dense ones, or in a file layers by name.
    encoder: Option<LayerList> = None, sizes();
    /// The decoder's (a GAN's generator's) layers, where they differ: sizes of dense ones, or in a file layers by name.
    decoder: Option<LayerList> = None, sizes();
    /// Dimensions of the latent.
    latent: usize = vae().latent, parsed::<usize>("N");
    /// Activation of hidden layers: identity, relu, leaky-relu, tanh, sigmoid, softplus, silu or gelu.
    activation: Activation = Activation::Relu, activation();
    /// Activation of a code without noise.
    code_activation: Activation = vae().code_activation, activation();
    /// Prior of latents: normal, N(0, I), or vamp:K, the posteriors of K learned pseudo-inputs.
    prior: Prior = vae().prior, parsed::<Prior>("PRIOR").measures();
    /// Reconstruction loss.
    loss: Loss = vae().loss, choice::<Loss>("LOSS").measures();
    /// Variance of the decoder of --loss gaussian.
    variance: Variance = vae().variance, choice::<Variance>("VARIANCE").measures();
    /// Range of the decoder's output, where the loss does not read logits.
    output: Output = vae().output, choice::<Output>("OUTPUT");
    /// Parameterisation of the posterior's standard deviation.
    deviation: Deviation = vae().deviation, choice::<Deviation>("DEVIATION");
    /// Initialisation of weights.
    init: Initial = vae().init, choice::<Initial>("INIT");
    /// Start the output's bias from the training data's mean.
    bias_from_mean: bool = false, switch().only_with(Encoder).trains();
    /// Weight of the KL term, or auto:TARGET, which moves it until the reconstruction term is the target.
    beta: Beta = Beta::Fixed(1.0), parsed::<Beta>("X").checked(beta).only_with(WeightedKl).measures().trains();
    /// Schedule of beta: constant, linear:EPOCHS or cyclical:CYCLES.
    beta_schedule: BetaSchedule = BetaSchedule::Constant, parsed::<BetaSchedule>("SCHEDULE").only_with(WeightedKl).trains();
    /// Free bits: nats a latent dimension below which the KL term is not lowered.
    free_bits: f64 = vae().free_bits, parsed::<f64>("NATS").measures();
    /// Posterior samples an image, whose weights the loss sums over.
    samples: usize = vae().samples, parsed::<usize>("K").measures();
    /// Penalty on the code, or on a generator's output: l1:WEIGHT or l2:WEIGHT.
    penalty: Option<Penalty> = vae().penalty, parsed::<Penalty>("PENALTY").unset("none").measures();
    /// Give every network the example's label beside its input, so that images of a label can be asked for.
    condition: Option<Condition> = None, choice::<Condition>("CONDITION").unset("none").measures().trains();
    /// Weight of the encoder's squared Jacobian.
    contraction: f64 = vae().contraction, parsed::<f64>("X").measures();
    /// Corruption of the encoder's input in training: gaussian:DEVIATION or mask:FRACTION.
    noise: Option<Noise> = None,
        parsed::<Noise>("NOISE").unset("none").checked(|c| if_given(c.noise, noise)).only_with(Encoder).trains();
    /// Augmentation of training images: shift:PIXELS, flip, or shift:PIXELS,flip move and mirror them by chance.
    augment: Option<Augmentation> = None, parsed::<Augmentation>("HOW").unset("none").trains();
    /// Images a step.
    batch_size: usize = 128, parsed::<usize>("N").checked(|c| at_least_one(c.batch_size as u64)).trains();
    /// Cut every batch into N shards, whose gradients are added in their order: a run among 1, 2, ... N ranks (mpirun) then ends in
    /// the same bytes. Batch norm's statistics are a shard's.
    shards: usize = 1, parsed::<usize>("N").checked(shards).trains();
    /// Passes over the training set, counted from the run's beginning.
    epochs: u64 = 10, parsed::<u64>("N").checked(|c| at_least_one(c.epochs)).may_change();
    /// Adam's learning rate.
    lr: f64 = 1e-3, parsed::<f64>("X").checked(|c| above_zero(c.lr)).may_change().trains();
    /// Schedule of the learning rate: constant, cosine, or steps:EPOCH,EPOCH,...:FACTOR.
    lr_schedule: RateSchedule = RateSchedule::Constant, parsed::<RateSchedule>("SCHEDULE").trains();
    /// Decay of Adam's mean of gradients.
    adam_beta1: f64 = Adam::default().beta1, parsed::<f64>("X").checked(|c| below_one(c.adam_beta1)).trains();
    /// Decay of Adam's mean of squared gradients.
    adam_beta2: f64 = Adam::default().beta2, parsed::<f64>("X").checked(|c| below_one(c.adam_beta2)).trains();
    /// Adam's epsilon, added to the root of the second moment.
    adam_epsilon: f64 = Adam::default().epsilon, parsed::<f64>("X").checked(|c| above_zero(c.adam_epsilon)).trains();
    /// Decoupled weight decay, AdamW's.
    weight_decay: f64 = 0.0, parsed::<f64>("X").checked(|c| from_zero(c.weight_decay)).trains();
    /// Largest norm of the gradient: a longer one is scaled down to it.
    clip_norm: Option<f64> = None,
        parsed::<f64>("X").unset("none").checked(|c| if_given(c.clip_norm, above_zero)).may_change().trains();
    /// Stop after N epochs without a better test loss.
    patience: Option<u64> = None,
        parsed::<u64>("N").unset("never").checked(|c| if_given(c.patience, at_least_one)).only_with(RankingLoss)
            .may_change();
    /// Seed of all randomness, below 2^32: the same seed gives the same run.
    seed: u32 = 0, parsed::<u32>("N").trains();
    /// Binarisation of grey pixels.
    binarise: Binarise = Binarise::None, choice::<Binarise>("BINARISE").checked(binarised).measures().trains();
    /// A folder of images (sub-folders are labels) or of the four IDX files; a .npy, .npz (or FILE.npz:ARRAY), .csv or
    /// .tsv file; uniform:NxD or normal:NxD, made up.
    data: Option<DataSource> = None, data().unset("the embedded MNIST").measures().may_change();
    /// The test set, where it is not a part of --data.
    test_data: Option<DataSource> = None, data().conflicts_with("split").measures().may_change();
    /// Share of the examples that is trained on, where the data have no test set.
    split: Option<f64> = None, parsed::<f64>("X").unset("0.9").checked(|c| if_given(c.split, share)).measures();
    /// Resize a folder's images, as 64x64: height, then width.
    image_size: Option<ImageSide> = None, parsed::<ImageSide>("HxW").unset("all have one size").measures();
    /// Read a folder's images as grey or as RGB.
    channels: Option<Channels> = None, choice::<Channels>("CHANNELS").unset("RGB where any is coloured");
    /// Colour behind transparent pixels, as CSS writes it: white, #ff8000.
    background: Background = Background::default(), parsed::<Background>("COLOUR");
    /// Whether a table's first line names its columns.
    header: Header = Header::Auto, choice::<Header>("HEADER");
    /// A table's column of labels, by name or number from 0, or none.
    label_column: Option<String> = None, parsed::<String>("COLUMN").unset("one called label, class or target");
    /// A table's columns to leave out, by name or number from 0, as a list: id,4.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    drop_columns: Vec<String> = Vec::new(), list("COLUMNS");
    /// Train and test on these classes alone, by name or number as a list: 1,7. The split is that of all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    classes: Vec<String> = Vec::new(), list("CLASSES").unset("all").measures();
    /// Leave out images that can't be read and examples that are not finite.
    drop_bad: bool = false, switch();
    /// Scaling of the data's values; undone in arrays that are written.
    scale: Scale = Scale::Auto, choice::<Scale>("SCALE").measures();
    /// Keep at most so many MiB of a data set on the device, and stream a larger one; a larger .npy file is read in
    /// pieces.
    resident_limit: Option<u64> = None,
        parsed::<u64>("MIB").unset("what the device allows, 2048 in memory")
            .checked(|c| if_given(c.resident_limit, at_least_one)).may_change();
    /// Precision of activations and matrix multiplications.
    precision: Precision = Precision::F32, choice::<Precision>("PRECISION").trains();
    /// Device: auto, cpu, gpu, or an adapter's index or name as `vae-gpu devices` lists them.
    device: String = "auto".to_owned(), parsed::<String>("DEVICE").may_change();
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Command;
    use toml::Value;

    #[test]
    fn a_default_given_as_a_flag_is_the_default() {
        let defaults = TrainConfig::default().to_table().unwrap();
        let command = Command::new("train").args(options().map(|option| option.flag(None)));
        for (key, value) in &defaults {
            let option = options().find(|option| option.key == key).unwrap();
            let help = option.flag(Some(value)).get_help().unwrap().to_string();
            let text = help.split_once("[default: ").unwrap().1.trim_end_matches(']');
            let matches = command.clone().get_matches_from(["train", &format!("--{key}={text}")]);
            assert_eq!(matches.get_one::<Value>(key), Some(value), "{key}");
        }
    }
}
