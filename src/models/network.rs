//! A network: layers one after another, dense or convolutional.

use super::config::Initial;
use super::layer::{Layer, shapes};
use crate::error::{Error, Result};
use crate::graph::{ChannelsFirst, Graph, Init, NodeId, ParameterId, ParameterLayout};
use crate::ops::{Activation, Conv2d, ConvTranspose2d, Transpose, Window2d};
use crate::tensor::Shape;

/// Layers, each but the last with the activation behind it.
///
/// Parameters are named as in PyTorch's `nn.Sequential(Linear, Activation, Linear, ...)`: `encoder.0.weight`,
/// `encoder.0.bias`, `encoder.2.weight`, ..., so that its `load_state_dict` takes them as they are.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// The shape of an example, as the first layer takes it.
    input: Shape,
    modules: Vec<Module>,
}

/// A layer with its parameters.
#[derive(Clone, Debug)]
enum Module {
    Dense {
        weight: ParameterId,
        bias: ParameterId,
    },
    Conv {
        window: Window2d,
        weight: ParameterId,
        bias: ParameterId,
    },
    ConvTranspose {
        window: Window2d,
        size: [usize; 2],
        weight: ParameterId,
        bias: ParameterId,
    },
    Activation(Activation),
    /// Examples in another shape.
    Reshape(Shape),
}

/// The layers between an image or a latent and what a network ends in.
pub(super) struct Layers<'l> {
    /// The network's name.
    pub(super) name: &'l str,
    /// The option that says them.
    pub(super) option: &'l str,
    /// The shape of an example.
    pub(super) input: Shape,
    /// All but a last dense layer.
    pub(super) layers: &'l [Layer],
    /// The shape of an example at the end: a vector's, or an image's.
    pub(super) output: Shape,
}

impl Layers<'_> {
    /// All layers: where the last ones do not give an image of the output's shape, a dense layer comes behind them.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the layer that does not fit, with both shapes.
    pub(super) fn whole(&self) -> Result<(Shape, Vec<Layer>, Vec<Shape>)> {
        let reads_images = self.layers.iter().find(|layer| !matches!(layer, Layer::Activation(_)));
        let takes_images = reads_images.is_some_and(Layer::reads_images) && self.input.rank() > 1;
        let input = if takes_images { self.input } else { Shape::of([self.input.len()]) };
        let found = shapes(self.option, input, self.layers)?;
        let mut layers = self.layers.to_vec();
        let last = found.last().copied().unwrap_or(input);
        match (last.rank(), self.output.rank()) {
            (1, _) => layers.push(Layer::Dense(self.output.len())),
            (_, 1) => layers.extend([Layer::Flatten, Layer::Dense(self.output.len())]),
            _ => {
                let ends = self.layers.last().is_some_and(Layer::has_bias);
                if last != self.output || !ends {
                    let (option, output) = (self.option, self.output);
                    return Err(Error::Usage(format!(
                        "--{option} ends in images of {last}: the last layer must be dense or a convolution to those of the \
                         data, {output}, or its values a vector, behind which a dense layer gives the image"
                    )));
                }
            }
        }
        let shapes = shapes(self.option, input, &layers)?;
        Ok((input, layers, shapes))
    }
}

impl Network {
    /// Declares the parameters of layers that [fit](Layers::whole).
    pub(super) fn declare(layout: &mut ParameterLayout, of: &Layers<'_>, initial: Initial) -> Network {
        let (input, layers, shapes) = of.whole().expect("a validated architecture");
        let before = std::iter::once(input).chain(shapes.iter().copied());
        // The image that a vector was, and the one that it becomes.
        let mut flattened = None;
        let mut modules = Vec::new();
        for (at, (layer, (input, output))) in layers.iter().zip(before.zip(&shapes)).enumerate() {
            let name = |part: &str| format!("{}.{at}.{part}", of.name);
            modules.push(match *layer {
                Layer::Activation(activation) => Module::Activation(activation),
                Layer::Flatten => {
                    flattened = (input.rank() > 1).then_some(input);
                    Module::Reshape(*output)
                }
                Layer::Unflatten(..) => Module::Reshape(*output),
                Layer::Dense(size) => {
                    let (weights, biases) = initial.of([input.len(), size], 1);
                    // Of an image flattened, or to become one, files have the channels first.
                    let becomes = layers[at + 1..].iter().find(|layer| !matches!(layer, Layer::Activation(_)));
                    let becomes = becomes.and_then(|layer| match *layer {
                        Layer::Unflatten(channels, [height, width]) => Some(Shape::of([height, width, channels])),
                        _ => None,
                    });
                    let columns = flattened.take().map(|image: Shape| ChannelsFirst {
                        before: size,
                        pixels: image.rows(),
                        channels: image.cols(),
                        behind: 1,
                    });
                    let rows = |behind| {
                        let image = becomes?;
                        Some(ChannelsFirst { before: 1, pixels: image.rows(), channels: image.cols(), behind })
                    };
                    let weight = layout.declare(name("weight"), Shape::new(size, input.len()), weights);
                    let bias = layout.declare(name("bias"), Shape::of([size]), biases);
                    let orders = [columns, rows(input.len())].into_iter().flatten();
                    orders.for_each(|order| layout.stored(weight, &[size, input.len()], order));
                    rows(1).into_iter().for_each(|order| layout.stored(bias, &[size], order));
                    Module::Dense { weight, bias }
                }
                Layer::Conv(channels, window) => {
                    let (weights, biases) = initial.of([input.cols(), channels], window.kernel);
                    let weight = convolution(layout, name("weight"), [channels, input.cols()], window, weights);
                    let bias = layout.declare(name("bias"), Shape::of([channels]), biases);
                    Module::Conv { window, weight, bias }
                }
                Layer::ConvTranspose(channels, window, _) => {
                    // PyTorch takes a transposed convolution's fan-in from the second extent of its weights, as of others.
                    let (weights, biases) = initial.of([channels, input.cols()], window.kernel);
                    let weight = convolution(layout, name("weight"), [input.cols(), channels], window, weights);
                    let bias = layout.declare(name("bias"), Shape::of([channels]), biases);
                    let size = [output.extents()[0], output.extents()[1]];
                    Module::ConvTranspose { window, size, weight, bias }
                }
            });
        }
        Network { input, modules }
    }

    /// `x [batch, in]` -> `[batch, out]`, `last` being the activation after the last layer.
    pub(super) fn apply(&self, g: &mut Graph, x: NodeId, last: Activation) -> Result<NodeId> {
        let batch = g.shape(x).rows();
        let mut h = g.reshape(x, of_batch(batch, self.input))?;
        let mut modules = self.modules.iter().peekable();
        while let Some(module) = modules.next() {
            let (sum, bias) = match *module {
                Module::Dense { weight, bias } => {
                    let w = g.parameter(weight);
                    (g.matmul(h, w, Transpose::B)?, bias) // [batch, out]
                }
                Module::Conv { window, weight, bias } => {
                    let w = g.parameter(weight);
                    (g.apply(Conv2d::new(window).into(), &[h, w])?, bias) // [batch, rows, cols, out]
                }
                Module::ConvTranspose { window, size, weight, bias } => {
                    let w = g.parameter(weight);
                    (g.apply(ConvTranspose2d::new(window, size).into(), &[h, w])?, bias) // [batch, height, width, out]
                }
                Module::Activation(activation) => {
                    h = g.activation(h, activation)?;
                    continue;
                }
                Module::Reshape(shape) => {
                    h = g.reshape(h, of_batch(batch, shape))?;
                    continue;
                }
            };
            let activation = match modules.peek() {
                None => last,
                Some(Module::Activation(activation)) => {
                    modules.next();
                    *activation
                }
                Some(_) => Activation::Identity,
            };
            let bias = g.parameter(bias);
            h = g.bias_activation(sum, bias, activation)?;
        }
        let features = g.shape(h).len() / batch;
        g.reshape(h, Shape::new(batch, features))
    }

    /// The weight of the only layer, where that is dense; none where there are several.
    pub(super) fn only_weight(&self) -> Option<ParameterId> {
        match self.modules.as_slice() {
            &[Module::Dense { weight, .. }] => Some(weight),
            _ => None,
        }
    }

    /// The bias of the last layer.
    pub(super) fn last_bias(&self) -> ParameterId {
        match self.modules.last() {
            Some(Module::Dense { bias, .. } | Module::Conv { bias, .. } | Module::ConvTranspose { bias, .. }) => *bias,
            _ => unreachable!("a network ends in a layer with a bias"),
        }
    }
}

/// A batch of examples of this shape.
fn of_batch(batch: usize, example: Shape) -> Shape {
    match *example.extents() {
        [height, width, channels] => Shape::of([batch, height, width, channels]),
        _ => Shape::new(batch, example.len()),
    }
}

/// Weights `[map, kernel, kernel, image]`, which files have as `[map, image, kernel, kernel]`.
fn convolution(
    layout: &mut ParameterLayout,
    name: String,
    [map, image]: [usize; 2],
    Window2d { kernel, .. }: Window2d,
    init: Init,
) -> ParameterId {
    let id = layout.declare(name, Shape::of([map, kernel, kernel, image]), init);
    let order = ChannelsFirst { before: map, pixels: kernel * kernel, channels: image, behind: 1 };
    layout.stored(id, &[map, image, kernel, kernel], order);
    id
}

impl Initial {
    /// Of weights and of biases, for so many channels in and out and so many taps a side of a kernel.
    fn of(self, [inner, out]: [usize; 2], kernel: usize) -> (Init, Init) {
        let (fan_in, fan_out) = (inner * kernel * kernel, out * kernel * kernel);
        match self {
            Initial::Linear => (Init::linear(fan_in), Init::linear(fan_in)),
            Initial::Glorot => (Init::glorot(fan_in, fan_out), Init::Zero),
        }
    }
}
