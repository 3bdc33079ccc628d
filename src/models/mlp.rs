//! A stack of dense layers.

use super::config::Initial;
use crate::error::Result;
use crate::graph::{Graph, Init, NodeId, ParameterId, ParameterLayout};
use crate::ops::{Activation, Transpose};
use crate::tensor::Shape;

/// Dense layers with an activation after each but the last.
///
/// Parameters are named as in PyTorch's `nn.Sequential(Linear, Activation, Linear, ...)`: `encoder.0.weight`,
/// `encoder.0.bias`, `encoder.2.weight`, ..., so that its `load_state_dict` takes them as they are.
#[derive(Clone, Debug)]
pub(super) struct Mlp {
    layers: Vec<(ParameterId, ParameterId)>,
    activation: Activation,
}

impl Mlp {
    /// Declares layers between the sizes: `[in, hidden, ..., out]`.
    pub(super) fn declare(
        layout: &mut ParameterLayout,
        name: &str,
        sizes: &[usize],
        activation: Activation,
        initial: Initial,
    ) -> Mlp {
        let layers = sizes.windows(2).enumerate().map(|(i, pair)| {
            let (fan_in, fan_out) = (pair[0], pair[1]);
            let (weights, biases) = match initial {
                Initial::Linear => (Init::linear(fan_in), Init::linear(fan_in)),
                Initial::Glorot => (Init::glorot(fan_in, fan_out), Init::Zero),
            };
            let weight = layout.declare(format!("{name}.{}.weight", 2 * i), Shape::new(fan_out, fan_in), weights);
            let bias = layout.declare(format!("{name}.{}.bias", 2 * i), Shape::of([fan_out]), biases);
            (weight, bias)
        });
        Mlp { layers: layers.collect(), activation }
    }

    /// `x [batch, in]` -> `[batch, out]`, `last` being the activation after the last layer.
    pub(super) fn apply(&self, g: &mut Graph, x: NodeId, last: Activation) -> Result<NodeId> {
        let mut h = x;
        for (i, &(weight, bias)) in self.layers.iter().enumerate() {
            let (w, b) = (g.parameter(weight), g.parameter(bias));
            let sum = g.matmul(h, w, Transpose::B)?; // [batch, out]
            let activation = if i + 1 == self.layers.len() { last } else { self.activation };
            h = g.bias_activation(sum, b, activation)?; // [batch, out]
        }
        Ok(h)
    }

    /// The weight of the only layer; none where there are several.
    pub(super) fn only_weight(&self) -> Option<ParameterId> {
        match self.layers.as_slice() {
            &[(weight, _)] => Some(weight),
            _ => None,
        }
    }

    /// The bias of the last layer.
    pub(super) fn last_bias(&self) -> ParameterId {
        self.layers[self.layers.len() - 1].1
    }
}
