//! Layers by name: how the lists in configuration files and checkpoints are written, and the shapes that layers give.
//!
//! A layer is a line of words, the first its kind: `conv 32 k4 s2`, `dense 256`, `relu`. `words.rs` reads them, and writes them
//! in the one form that checkpoints have.

mod words;

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
    Norm(Normalisation),
    /// `max-pool N` or `avg-pool N` `[s] [p]`: `nn.MaxPool2d`, `nn.AvgPool2d` of a kernel of this side, by default moved by its
    /// side.
    Pool(Pooling, Window2d),
    /// `upsample nearest N` or `upsample bilinear N`, to so many times the size or to `HxW`: `nn.Upsample`.
    Upsample(Interpolation, UpsampledSize),
    /// `res N [ACTIVATION] [NORM]`: a residual block to so many channels (He et al. 2016): convolution, normalisation, activation,
    /// convolution, normalisation, 3x3 both; the input is added, through a convolution of 1x1 where channels differ; and an
    /// activation.
    Res(usize, Activation, Option<Normalisation>),
    /// `flatten`: images become vectors.
    Flatten,
    /// `unflatten N HxW`: vectors become images of so many channels and this size.
    Unflatten(usize, [usize; 2]),
}

/// A normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalisation {
    /// Over so many groups of channels of an image.
    Group(usize),
    /// Over all images of a batch, a channel at a time.
    Batch,
}

/// The size of an image's larger version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpsampledSize {
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

    /// Whether it takes statistics of a batch.
    pub(super) fn is_batch_norm(&self) -> bool {
        matches!(self, Layer::Norm(Normalisation::Batch) | Layer::Res(_, _, Some(Normalisation::Batch)))
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
                    UpsampledSize::Times(times) => [height * times, width * times],
                    UpsampledSize::To(size) => size,
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

impl Normalisation {
    /// Whether it can be of so many channels.
    fn suits(self, channels: usize) -> Result<(), String> {
        match self {
            Normalisation::Group(groups) if !channels.is_multiple_of(groups) => {
                Err(format!("{groups} groups do not divide its {channels} channels"))
            }
            _ => Ok(()),
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

#[cfg(test)]
mod tests {
    use super::*;

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
