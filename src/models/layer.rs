//! Layers by name: how the lists in configuration files and checkpoints are written, and the shapes that layers give.
//!
//! A layer is a line of words, the first its kind: `conv 32 k4 s2`, `dense 256`, `relu`. The words are read here, and written
//! here in the one form that checkpoints have.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ops::{Activation, Interpolation, Pooling, Window2d};
use crate::tensor::Shape;

/// A layer of a network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Layer {
    /// `dense N`: PyTorch's `nn.Linear` to so many values.
    Dense(usize),
    /// `conv N [k3] [s1] [p1] [d1]`: `nn.Conv2d` to so many channels; kernel, stride, padding and dilation. Without `p` the padding
    /// is half the kernel's reach, so that stride 1 and an odd kernel keep the size.
    Conv(usize, Window2d),
    /// `conv-transpose N [k3] [s1] [p1] [d1] [HxW]`: `nn.ConvTranspose2d` to so many channels; the size of its value, which PyTorch
    /// says by the output padding. Without it the value is `stride` times as large, if the window fits that so, else as small
    /// as can be.
    ConvTranspose(usize, Window2d, Option<[usize; 2]>),
    /// The name of an [`Activation`].
    Activation(Activation),
    /// `group-norm N` (so many groups), `layer-norm` (one group) or `batch-norm`: `nn.GroupNorm`, `nn.BatchNorm2d`. A dense layer
    /// or a convolution directly before one has no bias, which the normalisation would take away.
    Norm(Norm),
    /// `max-pool N` or `avg-pool N` `[s] [p]`: `nn.MaxPool2d`, `nn.AvgPool2d` of a kernel of this side, by default moved by its
    /// side.
    Pool(Pooling, Window2d),
    /// `upsample nearest N` or `upsample bilinear N`, to so many times the size or to `HxW`: `nn.Upsample`.
    Upsample(Interpolation, Size),
    /// `res N [ACTIVATION] [NORM]`: a residual block to so many channels (He et al. 2016): convolution, normalisation, activation,
    /// convolution, normalisation, 3x3 both; the input is added, through a convolution of 1x1 where channels differ; and an
    /// activation.
    Res(usize, Activation, Option<Norm>),
    /// `flatten`: images become vectors.
    Flatten,
    /// `unflatten N HxW`: vectors become images of so many channels and this size.
    Unflatten(usize, [usize; 2]),
}

/// A normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Over so many groups of channels of an image.
    Group(usize),
    /// Over all images of a batch, a channel at a time.
    Batch,
}

/// The size of an image's larger version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// So many times its height and width.
    Times(usize),
    /// Height and width.
    To([usize; 2]),
}

/// The largest number of values that a layer may give: more than any that trains, and products of two still fit in 64 bits.
pub(super) const LARGEST: usize = 1 << 24;
/// The most layers of a network, so that all parameters together can be counted too.
pub(super) const DEEPEST: usize = 1000;

impl Layer {
    /// The largest count of channels.
    pub const MOST_CHANNELS: usize = 1 << 16;
    /// The largest kernel, stride, padding and dilation.
    pub const LARGEST_WINDOW: usize = 255;

    /// Dense layers of these sizes, each with this activation behind it.
    pub fn dense(sizes: &[usize], activation: Activation) -> Vec<Layer> {
        sizes.iter().flat_map(|&size| [Layer::Dense(size), Layer::Activation(activation)]).collect()
    }

    /// Its size in a line of them, where it has weights: `400`, or `c32` of a convolution to 32 channels.
    pub(crate) fn size(&self) -> Option<String> {
        match self {
            Layer::Dense(size) => Some(size.to_string()),
            Layer::Conv(channels, _) | Layer::ConvTranspose(channels, ..) => Some(format!("c{channels}")),
            Layer::Res(channels, ..) => Some(format!("r{channels}")),
            _ => None,
        }
    }

    /// Whether it has weights, and an activation behind it can be computed with it.
    pub(super) fn has_bias(&self) -> bool {
        matches!(self, Layer::Dense(_) | Layer::Conv(..) | Layer::ConvTranspose(..))
    }

    /// Whether it can be differentiated twice.
    pub(super) fn has_second_derivative(&self) -> bool {
        !matches!(self, Layer::Norm(_) | Layer::Pool(Pooling::Max, _) | Layer::Res(_, _, Some(_)))
    }

    /// Whether it computes images from images.
    pub fn is_convolution(&self) -> bool {
        matches!(self, Layer::Conv(..) | Layer::ConvTranspose(..) | Layer::Res(..))
    }

    /// Whether it reads images rather than vectors.
    pub(super) fn reads_images(&self) -> bool {
        self.is_convolution() || matches!(self, Layer::Flatten | Layer::Norm(_) | Layer::Pool(..) | Layer::Upsample(..))
    }

    /// The shape of an example behind the layer, or why it does not take such examples.
    fn shape(&self, input: Shape) -> Result<Shape, String> {
        match (*self, input.extents()) {
            (Layer::Activation(_), _) => Ok(input),
            (Layer::Norm(norm), extents) => norm.suits(extents[extents.len() - 1]).map(|()| input),
            (Layer::Pool(_, window), &[height, width, channels]) => {
                let [rows, cols] = window.over_image([height, width])?;
                Ok(Shape::of([rows, cols, channels]))
            }
            (Layer::Upsample(_, size), &[height, width, channels]) => {
                let size = match size {
                    Size::Times(times) => [height * times, width * times],
                    Size::To(size) => size,
                };
                Ok(Shape::of([size[0], size[1], channels]))
            }
            (Layer::Res(channels, _, norm), &[height, width, _]) => {
                norm.map_or(Ok(()), |norm| norm.suits(channels))?;
                Ok(Shape::of([height, width, channels]))
            }
            (Layer::Dense(size), &[_]) => Ok(Shape::of([size])),
            (Layer::Dense(_), _) => Err("it takes vectors: put flatten before it".to_owned()),
            (Layer::Flatten, _) => Ok(Shape::of([input.len()])),
            (Layer::Unflatten(channels, [height, width]), _) => match height * width * channels == input.len() {
                true => Ok(Shape::of([height, width, channels])),
                false => Err(format!("its images have {} values: they must have as many", height * width * channels)),
            },
            (Layer::Conv(channels, window), &[height, width, _]) => {
                let [rows, cols] = window.over_image([height, width])?;
                Ok(Shape::of([rows, cols, channels]))
            }
            (Layer::ConvTranspose(channels, window, size), &[height, width, _]) => {
                let size = size.unwrap_or_else(|| [height, width].map(|extent| enlarged(window, extent)));
                let positions = window.over_image(size)?;
                match positions == [height, width] {
                    true => Ok(Shape::of([size[0], size[1], channels])),
                    false => Err(format!(
                        "over a value of {size:?} its window has {positions:?} positions: they must be the input's"
                    )),
                }
            }
            _ => Err("it takes images: put unflatten before it".to_owned()),
        }
    }
}

impl Norm {
    /// Whether it can be of so many channels.
    fn suits(self, channels: usize) -> Result<(), String> {
        match self {
            Norm::Group(groups) if !channels.is_multiple_of(groups) => {
                Err(format!("{groups} groups do not divide its {channels} channels"))
            }
            _ => Ok(()),
        }
    }

    fn read(words: &[&str]) -> Option<Norm> {
        match words {
            ["batch-norm"] => Some(Norm::Batch),
            ["layer-norm"] => Some(Norm::Group(1)),
            ["group-norm", groups] => number(&[groups], Layer::MOST_CHANNELS).map(Norm::Group),
            _ => None,
        }
    }
}

impl fmt::Display for Norm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Norm::Group(1) => f.write_str("layer-norm"),
            Norm::Group(groups) => write!(f, "group-norm {groups}"),
            Norm::Batch => f.write_str("batch-norm"),
        }
    }
}

/// The default size of a transposed convolution.
fn enlarged(window: Window2d, extent: usize) -> usize {
    let large = extent * window.stride;
    if window.positions(large) == extent { large } else { window.least_extent(extent) }
}

/// The shapes of an example behind each layer.
///
/// # Errors
/// [`Error::Usage`] that names the network, the layer, what it is given and what it takes.
pub(super) fn shapes(network: &str, input: Shape, layers: &[Layer]) -> Result<Vec<Shape>> {
    if layers.len() > DEEPEST {
        let found = layers.len();
        return Err(Error::Usage(format!("--{network} has {found} layers: there may be at most {DEEPEST}")));
    }
    let mut shapes = Vec::with_capacity(layers.len());
    let mut shape = input;
    for (at, layer) in layers.iter().enumerate() {
        let wrong = |reason: String| {
            let number = at + 1;
            Error::Usage(format!("--{network}, layer {number}, \"{layer}\": it is given {shape}; {reason}"))
        };
        let next = layer.shape(shape).map_err(wrong)?;
        if next.is_empty() || next.len() > LARGEST {
            return Err(wrong(format!("its value is {next}: it must have 1 to {LARGEST} values")));
        }
        shape = next;
        shapes.push(next);
    }
    Ok(shapes)
}

/// A window as a layer says it, whose padding is by default half its reach.
fn halved(window: Window2d) -> Window2d {
    window.padding((window.reach() - 1) / 2)
}

impl FromStr for Layer {
    type Err = String;

    fn from_str(text: &str) -> Result<Layer, String> {
        let mut words = text.split_whitespace();
        let kind = words.next().ok_or("a layer has no name")?;
        let words: Vec<&str> = words.collect();
        let wrong = |form: &str| format!("{text:?} is no layer: it must be {form}");
        let layer = match kind {
            "dense" => number(&words, LARGEST).map(Layer::Dense).ok_or_else(|| wrong("dense N"))?,
            "conv" | "conv-transpose" => {
                let transposed = kind == "conv-transpose";
                let form = if transposed {
                    "conv-transpose N [k3] [s1] [p1] [d1] [HxW]"
                } else {
                    "conv N [k3] [s1] [p1] [d1]"
                };
                read_convolution(&words, transposed).ok_or_else(|| wrong(form))?
            }
            "flatten" if words.is_empty() => Layer::Flatten,
            "unflatten" => match words.as_slice() {
                [channels, size] => number(&[channels], Layer::MOST_CHANNELS).zip(read_size(size)),
                _ => None,
            }
            .map(|(channels, size)| Layer::Unflatten(channels, size))
            .ok_or_else(|| wrong("unflatten N HxW"))?,
            "group-norm" | "layer-norm" | "batch-norm" => {
                let norm = Norm::read(&[&[kind], words.as_slice()].concat());
                norm.map(Layer::Norm).ok_or_else(|| wrong("group-norm N, layer-norm or batch-norm"))?
            }
            "max-pool" | "avg-pool" => {
                let pooling = if kind == "max-pool" { Pooling::Max } else { Pooling::Average };
                let window = read_pool(&words).ok_or_else(|| wrong(&format!("{kind} N [sN] [pN]")))?;
                Layer::Pool(pooling, window)
            }
            "upsample" => read_upsample(&words).ok_or_else(|| wrong("upsample nearest|bilinear N|HxW"))?,
            "res" => read_res(&words).ok_or_else(|| wrong("res N [ACTIVATION] [NORM]"))?,
            name => match activation(name) {
                Some(activation) if words.is_empty() => Layer::Activation(activation),
                _ => {
                    let names = Activation::ALL.map(Activation::name).join(", ");
                    return Err(wrong(&format!(
                        "dense, conv, conv-transpose, res, group-norm, layer-norm, batch-norm, max-pool, avg-pool, upsample, \
                         flatten, unflatten, or one of {names}"
                    )));
                }
            },
        };
        Ok(layer)
    }
}

/// The one word as a number from 1 on.
fn number(words: &[&str], most: usize) -> Option<usize> {
    let [word] = words else { return None };
    word.parse().ok().filter(|number| (1..=most).contains(number))
}

fn read_size(word: &str) -> Option<[usize; 2]> {
    let (height, width) = word.split_once('x')?;
    Some([number(&[height], LARGEST)?, number(&[width], LARGEST)?])
}

fn read_convolution(words: &[&str], transposed: bool) -> Option<Layer> {
    let (channels, words) = words.split_first()?;
    let channels = number(&[channels], Layer::MOST_CHANNELS)?;
    let (mut window, mut padding, mut size, mut seen) = (Window2d::new(3), None, None, String::new());
    for word in words {
        let key = word.chars().next()?;
        if key.is_ascii_digit() && transposed && size.is_none() {
            size = Some(read_size(word)?);
            continue;
        }
        let value = word.get(1..)?.parse().ok().filter(|&value: &usize| value <= Layer::LARGEST_WINDOW)?;
        if seen.contains(key) || (value == 0 && key != 'p') {
            return None;
        }
        seen.push(key);
        match key {
            'k' => window.kernel = value,
            's' => window.stride = value,
            'd' => window.dilation = value,
            'p' => padding = Some(value),
            _ => return None,
        }
    }
    let window = padding.map_or_else(|| halved(window), |padding| window.padding(padding));
    Some(if transposed { Layer::ConvTranspose(channels, window, size) } else { Layer::Conv(channels, window) })
}

fn activation(name: &str) -> Option<Activation> {
    Activation::ALL.into_iter().find(|activation| activation.name() == name)
}

fn read_pool(words: &[&str]) -> Option<Window2d> {
    let (side, words) = words.split_first()?;
    let side = number(&[side], Layer::LARGEST_WINDOW)?;
    let mut window = Window2d::new(side).stride(side);
    for word in words {
        match (word.chars().next()?, word.get(1..)?.parse().ok().filter(|&value| value <= Layer::LARGEST_WINDOW)?) {
            ('s', stride @ 1..) => window.stride = stride,
            ('p', padding) => window.padding = padding,
            _ => return None,
        }
    }
    Some(window)
}

fn read_upsample(words: &[&str]) -> Option<Layer> {
    let [mode, size] = words else { return None };
    let mode = match *mode {
        "nearest" => Interpolation::Nearest,
        "bilinear" => Interpolation::Bilinear,
        _ => return None,
    };
    let size = match size.contains('x') {
        true => Size::To(read_size(size)?),
        false => Size::Times(number(&[size], Layer::LARGEST_WINDOW)?),
    };
    Some(Layer::Upsample(mode, size))
}

fn read_res(words: &[&str]) -> Option<Layer> {
    let (channels, words) = words.split_first()?;
    let (activation, words) = match words.first().and_then(|word| activation(word)) {
        Some(activation) => (activation, &words[1..]),
        None => (Activation::Relu, words),
    };
    let norm = if words.is_empty() { None } else { Some(Norm::read(words)?) };
    Some(Layer::Res(number(&[channels], Layer::MOST_CHANNELS)?, activation, norm))
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = |window: Window2d| {
            let Window2d { kernel, stride, padding, dilation } = window;
            let mut text = format!(" k{kernel}");
            for (key, value, default) in [('s', stride, 1), ('p', padding, halved(window).padding), ('d', dilation, 1)]
            {
                if value != default {
                    text += &format!(" {key}{value}");
                }
            }
            text
        };
        match *self {
            Layer::Dense(size) => write!(f, "dense {size}"),
            Layer::Conv(channels, window) => write!(f, "conv {channels}{}", numbers(window)),
            Layer::ConvTranspose(channels, window, size) => {
                write!(f, "conv-transpose {channels}{}", numbers(window))?;
                size.map_or(Ok(()), |[height, width]| write!(f, " {height}x{width}"))
            }
            Layer::Activation(activation) => f.write_str(activation.name()),
            Layer::Norm(norm) => write!(f, "{norm}"),
            Layer::Pool(pooling, Window2d { kernel, stride, padding, .. }) => {
                let kind = if pooling == Pooling::Max { "max-pool" } else { "avg-pool" };
                write!(f, "{kind} {kernel}")?;
                if stride != kernel {
                    write!(f, " s{stride}")?;
                }
                if padding > 0 { write!(f, " p{padding}") } else { Ok(()) }
            }
            Layer::Upsample(mode, size) => {
                let mode = if mode == Interpolation::Nearest { "nearest" } else { "bilinear" };
                match size {
                    Size::Times(times) => write!(f, "upsample {mode} {times}"),
                    Size::To([height, width]) => write!(f, "upsample {mode} {height}x{width}"),
                }
            }
            Layer::Res(channels, activation, norm) => {
                write!(f, "res {channels} {}", activation.name())?;
                norm.map_or(Ok(()), |norm| write!(f, " {norm}"))
            }
            Layer::Flatten => f.write_str("flatten"),
            Layer::Unflatten(channels, [height, width]) => write!(f, "unflatten {channels} {height}x{width}"),
        }
    }
}

impl From<Layer> for String {
    fn from(layer: Layer) -> String {
        layer.to_string()
    }
}

impl TryFrom<String> for Layer {
    type Error = String;
    fn try_from(text: String) -> Result<Layer, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_read_and_written() {
        for (text, written) in [
            ("dense 256", "dense 256"),
            ("conv 32 k4 s2", "conv 32 k4 s2"),
            ("conv 32", "conv 32 k3"),
            ("conv  8 d2 k3 p0 s1", "conv 8 k3 p0 d2"),
            ("conv-transpose 3 k4 s2 33x47", "conv-transpose 3 k4 s2 33x47"),
            ("leaky-relu", "leaky-relu"),
            ("flatten", "flatten"),
            ("unflatten 64 7x7", "unflatten 64 7x7"),
            ("group-norm 8", "group-norm 8"),
            ("group-norm 1", "layer-norm"),
            ("batch-norm", "batch-norm"),
            ("max-pool 2", "max-pool 2"),
            ("avg-pool 3 p1 s2", "avg-pool 3 s2 p1"),
            ("upsample nearest 2", "upsample nearest 2"),
            ("upsample bilinear 33x47", "upsample bilinear 33x47"),
            ("res 32", "res 32 relu"),
            ("res 32 silu group-norm 8", "res 32 silu group-norm 8"),
        ] {
            let layer: Layer = text.parse().unwrap();
            assert_eq!(layer.to_string(), written);
            assert_eq!(written.parse::<Layer>().unwrap(), layer);
        }
        for text in [
            "",
            "dense",
            "dense 0",
            "dense 1 2",
            "conv",
            "conv 3 k",
            "conv 3 k0",
            "conv 3 k3 k5",
            "conv 3 x4",
            "conv 3 3x3",
            "conv 70000",
            "conv 3 k256",
            "relu 3",
            "unflatten 3",
            "unflatten 3 4x",
            "pool 2",
            "dense -1",
            "conv 3 é",
            "group-norm",
            "max-pool",
            "max-pool 2 s0",
            "upsample 2",
            "upsample cubic 2",
            "res",
            "res 3 norm",
            "batch-norm 3",
        ] {
            let error = text.parse::<Layer>().unwrap_err();
            assert!(error.contains("no layer: it must be") || error.contains("no name"), "{text}: {error}");
        }
    }

    #[test]
    fn shapes_follow_or_the_layer_is_named() {
        let of = |input: Shape, texts: &[&str]| {
            let layers: Vec<Layer> = texts.iter().map(|text| text.parse().unwrap()).collect();
            shapes("encoder", input, &layers).map_err(|error| error.to_string())
        };
        let image = Shape::of([33, 47, 3]);
        let texts = ["conv 32 k4 s2", "relu", "conv 64 k4 s2", "flatten", "dense 9"];
        let wanted = [vec![16, 23, 32], vec![16, 23, 32], vec![8, 11, 64], vec![5632], vec![9]];
        assert_eq!(of(image, &texts).unwrap().iter().map(|shape| shape.extents().to_vec()).collect::<Vec<_>>(), wanted);
        let back = ["unflatten 64 8x11", "conv-transpose 32 k4 s2 16x23", "conv-transpose 3 k4 s2 33x47"];
        assert_eq!(of(Shape::of([5632]), &back).unwrap()[2], image);
        assert_eq!(of(Shape::of([7, 7, 1]), &["conv-transpose 4 s2"]).unwrap()[0], Shape::of([14, 14, 4]));
        for (input, texts, rule) in [
            (image, &["dense 9"][..], "--encoder, layer 1, \"dense 9\": it is given [33, 47, 3]; it takes vectors"),
            (Shape::of([9]), &["relu", "conv 3"], "layer 2, \"conv 3 k3\": it is given [9]; it takes images"),
            (Shape::of([2, 2, 1]), &["conv 3 k7 p0"], "the kernel must fit in"),
            (Shape::of([9]), &["unflatten 4 2x2"], "its images have 16 values"),
            (
                image,
                &["conv 12", "group-norm 8"],
                "layer 2, \"group-norm 8\": it is given [33, 47, 12]; 8 groups do not divide",
            ),
            (Shape::of([9]), &["max-pool 2"], "it takes images"),
            (
                Shape::of([9, 9, 1]),
                &["conv-transpose 4 k4 s2 20x18"],
                "over a value of [20, 18] its window has [10, 9]",
            ),
            (Shape::of([2000, 2000, 1]), &["conv 65536"], "it must have 1 to 16777216 values"),
        ] {
            let error = of(input, texts).unwrap_err();
            assert!(error.contains(rule), "{error}");
        }
    }
}
