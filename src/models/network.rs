//! A network: layers one after another, dense or convolutional.

use super::Initial;
use super::layer::{Layer, Normalisation, shapes};
use super::pass::Pass;
use crate::error::{Error, Result};
use crate::graph::{ChannelsFirst, Graph, Init, NodeId, ParameterId, ParameterLayout};
use crate::ops::{
    Activation, Concat, Conv2d, ConvTranspose2d, Factor, Interpolation, Normalise, Over, Pool, Pooling, Resize,
    RunningStatistics, Transpose, Window2d,
};
use crate::tensor::Shape;

/// Layers, each with the activation behind it.
///
/// Parameters are named as in PyTorch's `nn.Sequential(Linear, Activation, Linear, ...)`: `encoder.0.weight`,
/// `encoder.0.bias`, `encoder.2.weight`, ..., so that its `load_state_dict` takes them as they are. Those of a residual block are
/// `encoder.3.conv1.weight`, ..., `norm1`, `conv2`, `norm2` and `skip`.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// The shape of an example, as the first layer takes it.
    input: Shape,
    modules: Vec<Module>,
}

/// A layer with its parameters.
#[derive(Clone, Debug)]
enum Module {
    Weights(Weights),
    Activation(Activation),
    Norm(NormWeights),
    Pool(Pooling, Window2d),
    Upsample(Interpolation, [usize; 2]),
    /// Examples in another shape.
    Reshape(Shape),
    Res(Box<Block>),
}

/// A layer that multiplies.
#[derive(Clone, Copy, Debug)]
struct Weights {
    kind: Kind,
    weight: ParameterId,
    bias: Option<ParameterId>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Dense,
    Conv(Window2d),
    ConvTranspose(Window2d, [usize; 2]),
}

/// A normalisation's scale and shift, and of batch norm the running mean and variance.
#[derive(Clone, Copy, Debug)]
struct NormWeights {
    norm: Normalisation,
    scale: ParameterId,
    shift: ParameterId,
    running: Option<[ParameterId; 2]>,
}

/// A residual block.
#[derive(Clone, Debug)]
struct Block {
    convolutions: [Weights; 2],
    norms: Option<[NormWeights; 2]>,
    skip: Option<Weights>,
    activation: Activation,
}

/// What is added to a variance; PyTorch's default.
const EPSILON: f64 = 1e-5;

/// The layers between an image or a latent and what a network ends in.
pub(super) struct Layers<'l> {
    /// The network's name.
    pub(super) name: &'l str,
    /// The option that says them.
    pub(super) option: &'l str,
    /// The shape of an example, without its condition.
    pub(super) input: Shape,
    /// Values of its condition, which stand behind the columns of the input: a vector's, or of an image each pixel's.
    pub(super) condition: usize,
    /// All but a last dense layer.
    pub(super) layers: &'l [Layer],
    /// The shape of an example at the end: a vector's, or an image's.
    pub(super) output: Shape,
}

impl Layers<'_> {
    /// All layers, with the shape of an example before the first and behind each: where the last ones do not give an image of
    /// the output's shape, a dense layer comes behind them.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the layer that does not fit, with both shapes.
    pub(super) fn whole(&self) -> Result<(Vec<Layer>, Vec<Shape>)> {
        let first = self.layers.iter().find(|layer| !matches!(layer, Layer::Activation(_)));
        let takes_images = first.is_some_and(Layer::reads_images) && self.input.rank() > 1;
        let input = if takes_images { self.input } else { Shape::of([self.input.len()]) };
        let input = joined(input, self.condition);
        let mut all = vec![input];
        all.extend(shapes(self.option, input, self.layers)?);
        let last = all[self.layers.len()];
        let behind = match (last.rank(), self.output.rank()) {
            (1, _) => vec![Layer::Dense(self.output.len())],
            (_, 1) => vec![Layer::Flatten, Layer::Dense(self.output.len())],
            _ => {
                let ends = self.layers.last().is_some_and(Layer::has_bias);
                if last != self.output || !ends {
                    let (option, output) = (self.option, self.output);
                    return Err(Error::Usage(format!(
                        "--{option} ends in images of {last}: its last layer must be a convolution to those of the data, \
                         {output}, or give a vector, behind which a dense layer gives the image"
                    )));
                }
                Vec::new()
            }
        };
        all.extend(shapes(self.option, last, &behind)?);
        Ok(([self.layers, behind.as_slice()].concat(), all))
    }
}

impl Network {
    /// Declares the parameters of layers that [fit](Layers::whole).
    pub(super) fn declare(layout: &mut ParameterLayout, of: &Layers<'_>, initial: Initial) -> Network {
        let (layers, shapes) = of.whole().expect("a validated architecture");
        let input = if shapes[0].rank() > 1 { of.input } else { Shape::of([of.input.len()]) };
        let mut declare = Declare { layout, initial, flattened: None };
        let modules = layers.iter().enumerate().map(|(at, layer)| {
            let [input, output] = [shapes[at], shapes[at + 1]];
            declare.module(&format!("{}.{at}", of.name), layer, &layers[at + 1..], input, output)
        });
        Network { modules: modules.collect(), input }
    }

    /// `x [batch, in]` -> `[batch, out]`, `last` being the activation after the last layer. The pass's condition is joined to x.
    pub(super) fn apply(&self, g: &mut Graph, x: NodeId, last: Activation, pass: &mut Pass) -> Result<NodeId> {
        let batch = g.shape(x).rows();
        let mut h = g.reshape(x, of_batch(batch, self.input))?;
        if let Some(condition) = pass.condition() {
            h = g.apply(Concat.into(), &[h, condition])?;
        }
        let mut modules = self.modules.iter().peekable();
        while let Some(module) = modules.next() {
            h = match *module {
                Module::Weights(weights) => {
                    let activation = match modules.peek() {
                        None => last,
                        Some(Module::Activation(activation)) => {
                            modules.next();
                            *activation
                        }
                        Some(_) => Activation::Identity,
                    };
                    weights.apply(g, h, activation)?
                }
                Module::Activation(activation) => g.activation(h, activation)?,
                Module::Norm(norm) => norm.apply(g, h, pass)?,
                Module::Pool(kind, window) => g.apply(Pool { kind, window }.into(), &[h])?,
                Module::Upsample(mode, size) => g.apply(Resize { mode, size }.into(), &[h])?,
                Module::Reshape(shape) => g.reshape(h, of_batch(batch, shape))?,
                Module::Res(ref block) => block.apply(g, h, pass)?,
            };
        }
        let features = g.shape(h).len() / batch;
        g.reshape(h, Shape::new(batch, features))
    }

    /// The weight of the only layer, where that is dense; none where there are several.
    pub(super) fn only_weight(&self) -> Option<ParameterId> {
        match self.modules.as_slice() {
            &[Module::Weights(Weights { kind: Kind::Dense, weight, .. })] => Some(weight),
            _ => None,
        }
    }

    /// The bias of the last layer.
    pub(super) fn last_bias(&self) -> ParameterId {
        match self.modules.last() {
            Some(Module::Weights(Weights { bias: Some(bias), .. })) => *bias,
            _ => unreachable!("a network ends in a layer with a bias"),
        }
    }
}

impl Weights {
    /// `activation(weights x + bias)`.
    fn apply(self, g: &mut Graph, x: NodeId, activation: Activation) -> Result<NodeId> {
        let w = g.parameter(self.weight);
        let sum = match self.kind {
            Kind::Dense => g.matmul(x, w, Transpose::B)?, // [batch, out]
            Kind::Conv(window) => g.apply(Conv2d::new(window).into(), &[x, w])?, // [batch, rows, cols, out]
            Kind::ConvTranspose(window, size) => g.apply(ConvTranspose2d::new(window, size).into(), &[x, w])?,
        };
        match self.bias {
            Some(bias) => {
                let bias = g.parameter(bias);
                g.bias_activation(sum, bias, activation)
            }
            None => g.activation(sum, activation),
        }
    }
}

impl NormWeights {
    fn apply(self, g: &mut Graph, x: NodeId, pass: &mut Pass) -> Result<NodeId> {
        let [scale, shift] = [self.scale, self.shift].map(|id| g.parameter(id));
        match (self.norm, self.running, pass.examples()) {
            (Normalisation::Group(groups), ..) => Ok(g.normalise(x, scale, shift, Over::Group(groups), EPSILON)?[0]),
            (Normalisation::Batch, Some(running), Some(examples)) => {
                let samples = g.shape(x).extents()[0] / examples;
                let [y, statistics] = g.normalise(x, scale, shift, Over::Batch { samples }, EPSILON)?;
                pass.saw(running, statistics, samples, g.shape(x));
                Ok(y)
            }
            (Normalisation::Batch, running, _) => {
                let [mean, variance] = running.expect("batch norm has them").map(|id| g.parameter(id));
                let statistics = g.apply(RunningStatistics.into(), &[mean, variance])?; // [channels, 2]
                let normalise = Normalise { over: Over::Running, epsilon: EPSILON };
                g.apply(normalise.into(), &[x, statistics, scale, shift])
            }
        }
    }
}

impl Block {
    fn apply(&self, g: &mut Graph, x: NodeId, pass: &mut Pass) -> Result<NodeId> {
        let Block { convolutions: [first, second], norms, skip, activation } = self;
        let h = match norms {
            None => {
                let h = first.apply(g, x, *activation)?;
                second.apply(g, h, Activation::Identity)?
            }
            Some([norm_1, norm_2]) => {
                let h = first.apply(g, x, Activation::Identity)?;
                let h = norm_1.apply(g, h, pass)?;
                let h = g.activation(h, *activation)?;
                let h = second.apply(g, h, Activation::Identity)?;
                norm_2.apply(g, h, pass)?
            }
        };
        let x = match skip {
            Some(skip) => skip.apply(g, x, Activation::Identity)?,
            None => x,
        };
        let sum = g.add_scaled(h, x, Factor::Constant(1.0))?;
        g.activation(sum, *activation)
    }
}

/// Declares the parameters of layers, in their order.
struct Declare<'l> {
    layout: &'l mut ParameterLayout,
    initial: Initial,
    /// The image that the vector at hand was.
    flattened: Option<Shape>,
}

impl Declare<'_> {
    fn module(&mut self, name: &str, layer: &Layer, behind: &[Layer], input: Shape, output: Shape) -> Module {
        let biased = !matches!(behind.first(), Some(Layer::Norm(_)));
        match *layer {
            Layer::Activation(activation) => Module::Activation(activation),
            Layer::Norm(norm) => Module::Norm(self.norm(name, norm, output.cols())),
            Layer::Pool(kind, window) => Module::Pool(kind, window),
            Layer::Upsample(mode, _) => Module::Upsample(mode, [output.extents()[0], output.extents()[1]]),
            Layer::Flatten => {
                self.flattened = (input.rank() > 1).then_some(input);
                Module::Reshape(output)
            }
            Layer::Unflatten(..) => Module::Reshape(output),
            Layer::Dense(size) => Module::Weights(self.dense(name, [size, input.len()], behind, biased)),
            Layer::Conv(channels, window) => Module::Weights(self.conv(name, [channels, input.cols()], window, biased)),
            Layer::ConvTranspose(channels, window, _) => {
                let size = [output.extents()[0], output.extents()[1]];
                // PyTorch takes a transposed convolution's fan-in from the second extent of its weights, as of others.
                let init = self.initial.of([channels, input.cols()], window.kernel);
                let kind = Kind::ConvTranspose(window, size);
                Module::Weights(self.convolution(name, kind, [input.cols(), channels], channels, init, biased))
            }
            Layer::Res(channels, activation, norm) => {
                let window = Window2d::new(3).padding(1);
                let mut conv = |part: &str, channels: [usize; 2], window: Window2d, biased: bool| {
                    self.conv(&format!("{name}.{part}"), channels, window, biased)
                };
                let first = conv("conv1", [channels, input.cols()], window, norm.is_none());
                let second = conv("conv2", [channels; 2], window, norm.is_none());
                let skip =
                    (channels != input.cols()).then(|| conv("skip", [channels, input.cols()], Window2d::new(1), true));
                let norms = norm
                    .map(|norm| ["norm1", "norm2"].map(|part| self.norm(&format!("{name}.{part}"), norm, channels)));
                Module::Res(Box::new(Block { convolutions: [first, second], norms, skip, activation }))
            }
        }
    }

    fn dense(&mut self, name: &str, [out, inner]: [usize; 2], behind: &[Layer], biased: bool) -> Weights {
        let (weights, biases) = self.initial.of([inner, out], 1);
        let weight = self.layout.declare(format!("{name}.weight"), Shape::new(out, inner), weights);
        let bias = biased.then(|| self.layout.declare(format!("{name}.bias"), Shape::of([out]), biases));
        // Of an image that was flattened, and of one that the vector becomes, files have the channels first.
        if let Some(image) = self.flattened.take() {
            let order = ChannelsFirst { before: out, pixels: image.rows(), channels: image.cols(), behind: 1 };
            self.layout.stored(weight, &[out, inner], order);
        }
        let next = behind.iter().find(|layer| !matches!(layer, Layer::Activation(_)));
        if let Some(&Layer::Unflatten(channels, [height, width])) = next {
            let order = |behind| ChannelsFirst { before: 1, pixels: height * width, channels, behind };
            self.layout.stored(weight, &[out, inner], order(inner));
            bias.into_iter().for_each(|bias| self.layout.stored(bias, &[out], order(1)));
        }
        Weights { kind: Kind::Dense, weight, bias }
    }

    fn conv(&mut self, name: &str, [out, inner]: [usize; 2], window: Window2d, biased: bool) -> Weights {
        let init = self.initial.of([inner, out], window.kernel);
        self.convolution(name, Kind::Conv(window), [out, inner], out, init, biased)
    }

    /// Weights `[map, kernel, kernel, image]`, which files have as `[map, image, kernel, kernel]`.
    fn convolution(
        &mut self,
        name: &str,
        kind: Kind,
        [map, image]: [usize; 2],
        out: usize,
        (weights, biases): (Init, Init),
        biased: bool,
    ) -> Weights {
        let (Kind::Conv(Window2d { kernel, .. }) | Kind::ConvTranspose(Window2d { kernel, .. }, _)) = kind else {
            unreachable!("a convolution has a window")
        };
        let weight = self.layout.declare(format!("{name}.weight"), Shape::of([map, kernel, kernel, image]), weights);
        let order = ChannelsFirst { before: map, pixels: kernel * kernel, channels: image, behind: 1 };
        self.layout.stored(weight, &[map, image, kernel, kernel], order);
        let bias = biased.then(|| self.layout.declare(format!("{name}.bias"), Shape::of([out]), biases));
        Weights { kind, weight, bias }
    }

    fn norm(&mut self, name: &str, norm: Normalisation, channels: usize) -> NormWeights {
        let shape = Shape::of([channels]);
        let scale = self.layout.declare(format!("{name}.weight"), shape, Init::One);
        let shift = self.layout.declare(format!("{name}.bias"), shape, Init::Zero);
        let mut state = |part: &str, init| self.layout.declare_state(format!("{name}.{part}"), shape, init);
        let running = (norm == Normalisation::Batch)
            .then(|| [state("running_mean", Init::Zero), state("running_var", Init::One)]);
        NormWeights { norm, scale, shift, running }
    }
}

/// The shape of an example with its condition.
fn joined(input: Shape, condition: usize) -> Shape {
    match *input.extents() {
        [height, width, channels] => Shape::of([height, width, channels + condition]),
        _ => Shape::of([input.len() + condition]),
    }
}

/// A batch of examples of this shape.
fn of_batch(batch: usize, example: Shape) -> Shape {
    match *example.extents() {
        [height, width, channels] => Shape::of([batch, height, width, channels]),
        _ => Shape::new(batch, example.len()),
    }
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
