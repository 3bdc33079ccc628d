//! The parameters of a model: names, shapes, first values, and the one layout that all its arenas share.
//!
//! An arena holds one number for each of a parameter's: [`PARAMETERS`] themselves, their [`GRADIENTS`], and whatever an optimiser
//! keeps, under names of its own.

use crate::error::{Result, graph_error};
use crate::rng::{Draw, Stream};
use crate::tensor::Shape;
use serde::Serialize;
use std::borrow::Cow;
use std::ops::Range;

/// The arena of the parameters.
pub const PARAMETERS: &str = "parameters";
/// The arena of their gradients.
pub const GRADIENTS: &str = "gradients";

/// Elements to which every parameter's offset is aligned: 256 bytes of f32, the coarsest storage-buffer offset alignment
/// that WebGPU lets an adapter ask for.
const ALIGNMENT: usize = 64;

/// A parameter of a [`ParameterLayout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParameterId(pub(crate) usize);

/// How a parameter begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// 0 everywhere.
    Zero,
    /// 1 everywhere.
    One,
    /// A number everywhere.
    Value(f64),
    /// Uniform in `[-bound, bound)`.
    Uniform {
        /// Half the width of the interval.
        bound: f64,
    },
}

impl Init {
    /// PyTorch's `nn.Linear`: uniform in `±1/sqrt(fan_in)`, for weight and bias alike (Kaiming uniform with a = √5).
    pub fn linear(fan_in: usize) -> Init {
        Init::Uniform { bound: 1.0 / (fan_in as f64).sqrt() }
    }

    /// Glorot and Bengio 2010, equation 16: uniform in `±sqrt(6 / (fan_in + fan_out))`, for weights.
    pub fn glorot(fan_in: usize, fan_out: usize) -> Init {
        Init::Uniform { bound: (6.0 / (fan_in + fan_out) as f64).sqrt() }
    }
}

/// One trained matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// PyTorch's name for it: `encoder.0.weight`.
    pub name: String,
    /// Weights are `[out, in]` or `[out, kernel, kernel, in]`, biases `[out]`.
    pub shape: Shape,
    /// Elements before it in each arena.
    pub offset: usize,
    /// How it begins.
    pub init: Init,
    /// Whether an optimiser updates it, and keeps state of its own for it; else it is state that a forward pass updates: running
    /// statistics.
    pub trained: bool,
    /// The shape that files give it.
    pub file_shape: Vec<usize>,
    /// What files have in another order.
    orders: Vec<ChannelsFirst>,
}

/// Values `[before, pixels, channels, behind]`, which files have as `[before, channels, pixels, behind]`: here a pixel's
/// channels lie side by side, PyTorch keeps each channel's pixels together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelsFirst {
    /// Extents before an image.
    pub before: usize,
    /// Pixels of an image, or taps of a kernel.
    pub pixels: usize,
    /// Channels of an image.
    pub channels: usize,
    /// Extents behind an image.
    pub behind: usize,
}

impl ChannelsFirst {
    /// Where a file has the element that is at `index` here.
    fn in_file(self, index: usize) -> usize {
        let ChannelsFirst { pixels, channels, behind, .. } = self;
        let (rest, last) = (index / behind, index % behind);
        let (channel, pixel, first) = (rest % channels, rest / channels % pixels, rest / channels / pixels);
        ((first * channels + channel) * pixels + pixel) * behind + last
    }
}

impl Parameter {
    fn new(name: String, shape: Shape, offset: usize, init: Init, trained: bool) -> Parameter {
        let file_shape = shape.extents().to_vec();
        Parameter { name, shape, offset, init, trained, file_shape, orders: Vec::new() }
    }

    /// How files have its values in another order; a second one applies to what the first gives.
    pub fn orders(&self) -> &[ChannelsFirst] {
        &self.orders
    }

    /// The values in the order of files.
    pub fn to_file<'v>(&self, values: &'v [f32]) -> Cow<'v, [f32]> {
        self.orders.iter().fold(Cow::Borrowed(values), |values, order| {
            let mut ordered = vec![0.0; values.len()];
            values.iter().enumerate().for_each(|(index, &value)| ordered[order.in_file(index)] = value);
            Cow::Owned(ordered)
        })
    }

    /// Brings values from the order of files to the one here.
    pub fn from_file(&self, values: &mut [f32]) {
        for order in self.orders.iter().rev() {
            let of_file = values.to_vec();
            values.iter_mut().enumerate().for_each(|(index, value)| *value = of_file[order.in_file(index)]);
        }
    }
}

/// Where each parameter lies in an arena.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParameterLayout {
    parameters: Vec<Parameter>,
    len: usize,
    /// Elements of those that are trained, which come first.
    trained: usize,
}

impl ParameterLayout {
    /// Adds a parameter behind those that are trained; state moves behind it.
    pub fn declare(&mut self, name: impl Into<String>, shape: Shape, init: Init) -> ParameterId {
        let span = shape.len().next_multiple_of(ALIGNMENT);
        self.parameters.iter_mut().filter(|other| !other.trained).for_each(|state| state.offset += span);
        let offset = self.trained;
        self.trained += span;
        self.push(Parameter::new(name.into(), shape, offset, init, true))
    }

    /// Adds state at the end.
    pub fn declare_state(&mut self, name: impl Into<String>, shape: Shape, init: Init) -> ParameterId {
        self.push(Parameter::new(name.into(), shape, self.len, init, false))
    }

    fn push(&mut self, parameter: Parameter) -> ParameterId {
        self.len += parameter.shape.len().next_multiple_of(ALIGNMENT);
        self.parameters.push(parameter);
        ParameterId(self.parameters.len() - 1)
    }

    /// Says that files give a parameter this shape and have its channels first; a second order applies to the values that the first
    /// gives.
    pub fn stored(&mut self, id: ParameterId, file_shape: &[usize], order: ChannelsFirst) {
        let parameter = &mut self.parameters[id.0];
        let ChannelsFirst { before, pixels, channels, behind } = order;
        let elements: usize = file_shape.iter().product();
        debug_assert!(elements == parameter.shape.len() && elements == before * pixels * channels * behind);
        parameter.file_shape = file_shape.to_vec();
        parameter.orders.push(order);
    }

    /// The parameter behind an id.
    pub fn get(&self, id: ParameterId) -> &Parameter {
        &self.parameters[id.0]
    }

    /// All parameters in order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The parameter of this name.
    pub fn named(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }

    /// The part of an arena that these parameters take, padding counted.
    ///
    /// # Errors
    /// [`crate::Error::Graph`] where there are none, or they are not consecutive.
    pub fn span_of(&self, ids: &[ParameterId]) -> Result<Range<usize>> {
        let (Some(&first), Some(&last)) = (ids.first(), ids.last()) else {
            return graph_error("there is no parameter");
        };
        if let Some(pair) = ids.windows(2).find(|pair| self.span(pair[0]).end != self.span(pair[1]).start) {
            let [before, after] = [pair[0], pair[1]].map(|id| self.get(id).name.as_str());
            return graph_error(format!("{before} comes before {after}: parameters of one span must be consecutive"));
        }
        Ok(self.span(first).start..self.span(last).end)
    }

    /// Cuts a part of an arena in two where a parameter begins, as near to its middle as one does; the second half is empty where it is
    /// of one parameter.
    pub fn halves(&self, span: &Range<usize>) -> [Range<usize>; 2] {
        let within = self.parameters.iter().map(|parameter| parameter.offset);
        let within = within.filter(|offset| *offset > span.start && *offset < span.end);
        let middle = within.min_by_key(|offset| (offset - span.start).abs_diff(span.end - offset));
        let middle = middle.unwrap_or(span.end);
        [span.start..middle, middle..span.end]
    }

    /// Cuts a part of an arena, which begins and ends where parameters do, into so many slices, about as long as each other; of a
    /// small one some are empty. Slices begin where a parameter might.
    pub fn slices(span: &Range<usize>, count: usize) -> Vec<Range<usize>> {
        let at = |slice: usize| span.start + span.len() / ALIGNMENT * slice / count * ALIGNMENT;
        (0..count).map(|slice| at(slice)..at(slice + 1)).collect()
    }

    /// All ids in order.
    pub fn ids(&self) -> impl Iterator<Item = ParameterId> + use<> {
        (0..self.parameters.len()).map(ParameterId)
    }

    /// Elements of one arena, padding counted.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Elements that a parameter takes in each arena, the padding behind it counted.
    pub fn span(&self, id: ParameterId) -> Range<usize> {
        let Parameter { offset, shape, .. } = self.get(id);
        *offset..(offset + shape.len()).next_multiple_of(ALIGNMENT)
    }

    /// Makes the padding of an arena 0, which sums over an arena rely on.
    pub fn clear_padding<T: Copy + Default>(&self, arena: &mut [T]) {
        for id in self.ids() {
            let (span, len) = (self.span(id), self.get(id).shape.len());
            arena[span][len..].fill(T::default());
        }
    }

    /// Whether there is no parameter.
    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// Number of trained values, padding not counted.
    pub fn count(&self) -> usize {
        self.parameters.iter().filter(|p| p.trained).map(|p| p.shape.len()).sum()
    }

    /// The parameter arena as a run with this seed begins it: the same on every device. Parameter `p` (by order of
    /// declaration) takes element `e` from the draw of example `p`, element `e` of [`Stream::Initialise`].
    pub fn initial(&self, seed: u32) -> Vec<f32> {
        let draw = Draw { seed, stream: Stream::Initialise, step: 0 };
        let mut arena = vec![0.0; self.len];
        for (index, parameter) in self.parameters.iter().enumerate() {
            let values = &mut arena[parameter.offset..][..parameter.shape.len()];
            let bound = match parameter.init {
                Init::Zero => continue,
                Init::One => {
                    values.fill(1.0);
                    continue;
                }
                Init::Value(value) => {
                    values.fill(value as f32);
                    continue;
                }
                Init::Uniform { bound } => bound,
            };
            draw.uniforms(index as u32, values);
            for value in values {
                *value = (bound * (2.0 * f64::from(*value) - 1.0)) as f32;
            }
        }
        arena
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_channels_first() {
        let mut layout = ParameterLayout::default();
        let conv = layout.declare("conv", Shape::of([2, 1, 2, 3]), Init::Zero); // [out, kernel, kernel, in]
        layout.stored(conv, &[2, 3, 1, 2], ChannelsFirst { before: 2, pixels: 2, channels: 3, behind: 1 });
        let values: Vec<f32> = (0..12).map(|value| value as f32).collect();
        let parameter = layout.get(conv);
        assert_eq!(*parameter.to_file(&values), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0, 6.0, 9.0, 7.0, 10.0, 8.0, 11.0]);
        // Rows are pixels (2) of channels (2), columns likewise: both axes are brought into order.
        let dense = layout.declare("dense", Shape::new(4, 4), Init::Zero);
        layout.stored(dense, &[4, 4], ChannelsFirst { before: 4, pixels: 2, channels: 2, behind: 1 });
        layout.stored(dense, &[4, 4], ChannelsFirst { before: 1, pixels: 2, channels: 2, behind: 4 });
        let values: Vec<f32> = (0..16).map(|value| value as f32).collect();
        let ordered = layout.get(dense).to_file(&values).into_owned();
        let rows = [0.0, 8.0, 4.0, 12.0].map(|row| [row, row + 2.0, row + 1.0, row + 3.0]);
        assert_eq!(ordered, rows.concat());
        let mut back = ordered;
        layout.get(dense).from_file(&mut back);
        assert_eq!(back, values);
    }
}
