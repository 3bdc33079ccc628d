//! Networks from options: `--hidden` and `--conv` say both of them in short, `--encoder` and `--decoder` each layer.

use serde::{Deserialize, Serialize};
use toml::Value;

use super::TrainConfig;
use super::rules::Checked;
use crate::error::{Error, Result};
use crate::models::{Layer, ModelConfig, Normalisation, UpsampledSize};
use crate::ops::{Activation, Interpolation, Window2d};

/// The layers of one network, as a file gives them: sizes of dense layers, with the activation of hidden layers behind each,
/// or all layers by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Vec<Value>", try_from = "Vec<Value>")]
pub enum LayerList {
    /// Sizes of dense layers.
    Sizes(Vec<usize>),
    /// Layers by name, activations among them.
    Layers(Vec<Layer>),
}

/// Normalisation behind each convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ConvNorm {
    /// None
    None,
    /// Over groups of an image's channels: as many groups as divide them, at most 8
    Group,
    /// Over the batch, by channel; in evaluation by running statistics
    Batch,
    /// Over all of an image's values
    Layer,
}

impl ConvNorm {
    fn of(self, channels: usize) -> Option<Normalisation> {
        match self {
            ConvNorm::None => None,
            ConvNorm::Group => (1..=8).rev().find(|&groups| channels.is_multiple_of(groups)).map(Normalisation::Group),
            ConvNorm::Batch => Some(Normalisation::Batch),
            ConvNorm::Layer => Some(Normalisation::Group(1)),
        }
    }
}

/// How the decoder doubles an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Upsampling {
    /// By transposed convolutions, of the encoder's kernel
    Transposed,
    /// By the nearest pixel, then a convolution of 3x3
    Nearest,
    /// By bilinear interpolation, then a convolution of 3x3
    Bilinear,
}

/// The most residual blocks a level.
const MOST_BLOCKS: usize = 100;

/// Dense layers of a configuration that names none.
const HIDDEN: [usize; 1] = [400];

impl From<LayerList> for Vec<Value> {
    fn from(network: LayerList) -> Vec<Value> {
        match network {
            LayerList::Sizes(sizes) => sizes.into_iter().map(|size| Value::Integer(size as i64)).collect(),
            LayerList::Layers(layers) => layers.into_iter().map(|layer| Value::String(layer.to_string())).collect(),
        }
    }
}

impl TryFrom<Vec<Value>> for LayerList {
    type Error = String;

    fn try_from(values: Vec<Value>) -> Result<LayerList, String> {
        let size = |value: &Value| value.as_integer().and_then(|size| usize::try_from(size).ok());
        if values.iter().all(Value::is_integer) {
            let sizes = values.iter().map(|value| size(value).ok_or_else(|| format!("{value} is no size")));
            return sizes.collect::<Result<_, _>>().map(LayerList::Sizes);
        }
        let layer = |value: &Value| match value {
            Value::String(text) => text.parse(),
            other => {
                Err(format!("{other} among layers: it must be sizes alone, or layers by name, as \"dense {other}\""))
            }
        };
        values.iter().map(layer).collect::<Result<_, _>>().map(LayerList::Layers)
    }
}

impl LayerList {
    fn layers(&self, activation: Activation) -> Vec<Layer> {
        match self {
            LayerList::Sizes(sizes) => Layer::dense(sizes, activation),
            LayerList::Layers(layers) => layers.clone(),
        }
    }
}

impl TrainConfig {
    /// Sizes of the dense layers on either side.
    fn hidden(&self) -> &[usize] {
        match &self.hidden {
            Some(sizes) => sizes,
            None if self.conv.is_empty() => &HIDDEN,
            None => &[],
        }
    }

    /// The window of every convolution that `--conv` stands for: it halves an image.
    fn window(&self) -> Window2d {
        let window = Window2d::new(self.kernel).stride(2);
        window.padding((window.reach() - 1) / 2)
    }

    /// Whether a network is made for images, not for any numbers.
    pub fn is_convolutional(&self) -> bool {
        let named = |network: &Option<LayerList>| match network {
            Some(LayerList::Layers(layers)) => layers.iter().any(Layer::is_convolution),
            _ => false,
        };
        (!self.conv.is_empty() && (self.encoder.is_none() || self.decoder.is_none()))
            || named(&self.encoder)
            || named(&self.decoder)
    }

    /// What comes behind a convolution: normalisation and activation.
    fn behind(&self, channels: usize) -> impl Iterator<Item = Layer> + use<> {
        self.norm.of(channels).map(Layer::Norm).into_iter().chain([Layer::Activation(self.activation)])
    }

    /// The residual blocks of a level.
    fn residual(&self, channels: usize) -> Vec<Layer> {
        vec![Layer::Res(channels, self.activation, self.norm.of(channels)); self.blocks]
    }

    /// The layers that enlarge an image to this size, and give it so many channels.
    fn enlarging(&self, channels: usize, size: [usize; 2]) -> Vec<Layer> {
        let mode = match self.upsample {
            Upsampling::Transposed => return vec![Layer::ConvTranspose(channels, self.window(), Some(size))],
            Upsampling::Nearest => Interpolation::Nearest,
            Upsampling::Bilinear => Interpolation::Bilinear,
        };
        vec![Layer::Upsample(mode, UpsampledSize::To(size)), Layer::Conv(channels, Window2d::new(3).padding(1))]
    }

    /// The encoder's layers but for the last.
    pub(super) fn encoder_layers(&self) -> Vec<Layer> {
        if let Some(network) = &self.encoder {
            return network.layers(self.activation);
        }
        let mut layers = Vec::new();
        for &channels in &self.conv {
            layers.push(Layer::Conv(channels, self.window()));
            layers.extend(self.behind(channels));
            layers.extend(self.residual(channels));
        }
        if !layers.is_empty() {
            layers.push(Layer::Flatten);
        }
        layers.extend(Layer::dense(self.hidden(), self.activation));
        layers
    }

    /// The decoder's layers for images of this height, width and channels: by default the encoder's in reverse.
    ///
    /// # Errors
    /// [`Error::Usage`] where an image is too small for so many convolutions.
    pub(super) fn decoder_layers(&self, [height, width, channels]: [usize; 3]) -> Result<Vec<Layer>> {
        if let Some(network) = &self.decoder {
            return Ok(network.layers(self.activation));
        }
        let dense: Vec<usize> = self.hidden().iter().rev().copied().collect();
        let mut layers = Layer::dense(&dense, self.activation);
        let Some(&last) = self.conv.last() else { return Ok(layers) };
        // The size of the image at each level, and its channels.
        let mut sizes = vec![[height, width]];
        for _ in &self.conv {
            let size = sizes[sizes.len() - 1].map(|extent| self.window().positions(extent));
            if size.contains(&0) {
                let [rows, cols] = sizes[sizes.len() - 1];
                return Err(Error::Usage(format!(
                    "--conv has {} convolutions of kernel {}, each of which halves an image of {height}x{width}: behind {} of \
                     them {rows}x{cols} is left, too small for another",
                    self.conv.len(),
                    self.kernel,
                    sizes.len() - 1
                )));
            }
            sizes.push(size);
        }
        let [rows, cols] = sizes[self.conv.len()];
        layers.extend(Layer::dense(&[last * rows * cols], self.activation));
        layers.push(Layer::Unflatten(last, [rows, cols]));
        for level in (0..self.conv.len()).rev() {
            layers.extend(self.residual(self.conv[level]));
            let channels = if level == 0 { channels } else { self.conv[level - 1] };
            layers.extend(self.enlarging(channels, sizes[level]));
            if level > 0 {
                layers.extend(self.behind(channels));
            }
        }
        Ok(layers)
    }

    /// Sizes of the layers between images, in short: `400-20-400`, `c32-c64-256-20-256-c64-c32`; of a model without an encoder
    /// the decoder's, then the discriminator's.
    pub fn sizes(&self) -> String {
        let texts = |layers: &[Layer]| layers.iter().filter_map(Layer::size).collect::<Vec<_>>();
        let encoder = texts(&self.encoder_layers());
        let decoder = match &self.decoder {
            Some(network) => texts(&network.layers(self.activation)),
            None => {
                let dense: Vec<usize> = self.hidden().iter().rev().copied().collect();
                let conv = self.conv.iter().rev().map(|channels| format!("c{channels}"));
                dense.iter().map(usize::to_string).chain(conv).collect()
            }
        };
        ModelConfig::sizes_text(self.model, &encoder, self.latent, &decoder)
    }
}

/// Checks the short form of networks.
pub(super) fn conv(config: &TrainConfig) -> Checked {
    match config.conv.iter().find(|&&channels| channels == 0 || channels > Layer::MOST_CHANNELS) {
        Some(wrong) => Err(format!("holds {wrong}: a convolution has 1 to {} channels", Layer::MOST_CHANNELS)),
        None => Ok(()),
    }
}

/// Checks the count of residual blocks.
pub(super) fn blocks(config: &TrainConfig) -> Checked {
    match config.blocks {
        0..=MOST_BLOCKS => Ok(()),
        other => Err(format!("is {other}: it must be 0 to {MOST_BLOCKS}")),
    }
}

/// Checks that an option of `--conv` has it.
pub(super) fn with_conv(config: &TrainConfig, given: bool) -> Checked {
    match given && config.conv.is_empty() {
        true => Err("is for --conv, which is not there".to_owned()),
        false => Ok(()),
    }
}

/// Checks the kernel.
pub(super) fn kernel(config: &TrainConfig) -> Checked {
    match config.kernel {
        1..=Layer::LARGEST_WINDOW => Ok(()),
        other => Err(format!("is {other}: it must be 1 to {}", Layer::LARGEST_WINDOW)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<TrainConfig, String> {
        TrainConfig::layered([text.parse().unwrap()]).map_err(|error| error.to_string())
    }

    fn texts(layers: &[Layer]) -> Vec<String> {
        layers.iter().map(Layer::to_string).collect()
    }

    #[test]
    fn the_short_form_is_a_list_of_layers() {
        let short = config("conv = [8, 12]\nhidden = [30]\nnorm = 'group'\nblocks = 1").unwrap();
        let encoder = [
            "conv 8 k4 s2",
            "group-norm 8",
            "relu",
            "res 8 relu group-norm 8",
            "conv 12 k4 s2",
            "group-norm 6",
            "relu",
            "res 12 relu group-norm 6",
            "flatten",
            "dense 30",
            "relu",
        ];
        let decoder = [
            "dense 30",
            "relu",
            "dense 1056",
            "relu",
            "unflatten 12 8x11",
            "res 12 relu group-norm 6",
            "conv-transpose 8 k4 s2 16x23",
            "group-norm 8",
            "relu",
            "res 8 relu group-norm 8",
            "conv-transpose 3 k4 s2 33x47",
        ];
        assert_eq!(texts(&short.encoder_layers()), encoder);
        assert_eq!(texts(&short.decoder_layers([33, 47, 3]).unwrap()), decoder);
        assert!(short.architecture([33, 47, 3]).unwrap().validate().is_ok());
        assert_eq!(short.sizes(), "c8-r8-c12-r12-30-20-30-c12-c8");
        let nearest = config("conv = [8]\nupsample = 'nearest'\nkernel = 3").unwrap();
        let decoder = ["dense 72", "relu", "unflatten 8 3x3", "upsample nearest 5x6", "conv 1 k3"];
        assert_eq!(texts(&nearest.decoder_layers([5, 6, 1]).unwrap()), decoder);
        let error = nearest.architecture([0, 6, 1]).and_then(|model| model.validate()).unwrap_err().to_string();
        assert!(error.contains("features holds 0") || error.contains("too small"), "{error}");
    }

    #[test]
    fn a_network_is_sizes_or_layers() {
        let sizes = config("encoder = [7, 5]").unwrap();
        assert_eq!(texts(&sizes.encoder_layers()), ["dense 7", "relu", "dense 5", "relu"]);
        assert_eq!(config(&sizes.to_toml().unwrap()).unwrap(), sizes);
        let layers = config("encoder = ['conv 3', 'silu']").unwrap();
        assert!(layers.is_convolutional() && !sizes.is_convolutional());
        assert_eq!(config(&layers.to_toml().unwrap()).unwrap(), layers);
        for (text, rule) in [
            ("encoder = ['cnov 3']", "\"cnov 3\" is no layer: it must be dense, conv,"),
            ("encoder = ['conv 3', 5]", "5 among layers"),
            ("encoder = [-5]", "-5 is no size"),
        ] {
            let error = config(text).unwrap_err();
            assert!(error.contains(rule), "{error}");
        }
        for (text, option) in [("norm = 'batch'", "--norm"), ("blocks = 2", "--blocks"), ("conv = [0]", "--conv")] {
            let error = config(text).unwrap().validate().unwrap_err().to_string();
            assert!(error.starts_with(option), "{error}");
        }
    }
}
