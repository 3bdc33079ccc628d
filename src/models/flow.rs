//! A masked autoregressive flow: a density of vectors, `x -> u ~ N(0, I)` (Papamakarios, Pavlakou and Murray 2017, "Masked
//! autoregressive flow for density estimation").
//!
//! Each layer gives every variable a Gaussian that depends on those before it, by a network with masked weights (MADE, Germain et al.
//! 2015), and whitens the variable by it; the next layer has the variables in the reverse order. So the Jacobian is triangular and
//! the density exact: `log p(x) = log N(u; 0, I) - sum logvar / 2`. A layer is inverted variable by variable. Hidden units have a
//! tanh, which bounds mean and logvar far from the data, so that the density stays finite there.
//!
//! It is no [`Model`](super::Model): it has no decoder, and what it is of, a model's codes, no options.

use serde::{Deserialize, Serialize};

use super::graphs::{no_conditions, store_gradients};
use super::{Batches, CONDITION};
use crate::error::{Error, Result};
use crate::graph::{Graph, Init, NodeId, ParameterId, ParameterLayout};
use crate::ops::{
    Activation, AutoregressiveMask, BatchMean, Concat, Constant, Direction, Factor, Gaussian, Norm, Order, Pixels,
    PowerSum, Transpose, Units, Whiten,
};
use crate::optim::Optimiser;
use crate::tensor::{DType, Shape};

/// Sizes of a flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FlowConfig {
    /// Variables of a vector.
    pub features: usize,
    /// Sizes of each layer's hidden layers.
    pub hidden: Vec<usize>,
    /// Layers.
    pub layers: usize,
    /// Values that each vector is conditioned on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub condition: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A flow with its parameters laid out: weights and biases, and as state the means and deviations of the data, by which a host
/// scales vectors before the flow sees them.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    config: FlowConfig,
    layout: ParameterLayout,
    layers: Vec<Made>,
    scaling: [ParameterId; 2],
}

/// A masked network from vectors to `[mean | logvar]`, and the order of the variables.
#[derive(Clone, Debug, PartialEq)]
struct Made {
    direction: Direction,
    weights: Vec<Weights>,
}

/// A layer of it; each sees the condition, if there is one, whole.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Weights {
    weight: ParameterId,
    bias: ParameterId,
    of_condition: Option<ParameterId>,
}

/// Values in a size at most.
const MOST: usize = 1 << 16;

impl Flow {
    /// Lays out the parameters.
    ///
    /// # Errors
    /// [`Error::Usage`] for a size of 0 or above 65,536.
    pub fn new(config: FlowConfig) -> Result<Flow> {
        let FlowConfig { features, ref hidden, layers, condition } = config;
        let sizes = hidden.iter().copied().chain([features, layers, condition.max(1)]);
        if let Some(size) = sizes.into_iter().find(|size| !(1..=MOST).contains(size)) {
            return Err(Error::Usage(format!("a flow of {config:?}: {size} must be 1 to {MOST}")));
        }
        let mut layout = ParameterLayout::default();
        let made = |at: usize| {
            let direction = if at.is_multiple_of(2) { Direction::Forward } else { Direction::Reverse };
            let sizes = [&[features], hidden.as_slice(), &[2 * features]].concat();
            let mut declare = |which: usize| {
                let [inner, out] = [sizes[which], sizes[which + 1]];
                // The last layer begins as zeros, so that the flow begins as the identity.
                let init = if which + 2 == sizes.len() { Init::Zero } else { Init::linear(inner + condition) };
                let mut declare =
                    |part: &str, shape: Shape| layout.declare(format!("flow.{at}.{}.{part}", 2 * which), shape, init);
                Weights {
                    weight: declare("weight", Shape::new(out, inner)),
                    bias: declare("bias", Shape::of([out])),
                    of_condition: (condition > 0).then(|| declare("condition", Shape::new(out, condition))),
                }
            };
            Made { direction, weights: (0..=hidden.len()).map(&mut declare).collect() }
        };
        let layers = (0..layers).map(made).collect();
        let scaling = [("data.mean", Init::Zero), ("data.deviation", Init::One)]
            .map(|(name, init)| layout.declare_state(name, Shape::of([features]), init));
        Ok(Flow { config, layout, layers, scaling })
    }

    /// Its sizes.
    pub fn config(&self) -> &FlowConfig {
        &self.config
    }

    /// Layout of the parameters.
    pub fn layout(&self) -> &ParameterLayout {
        &self.layout
    }

    /// Means and deviations of the data, `[features]` each.
    pub fn scaling(&self) -> [ParameterId; 2] {
        self.scaling
    }

    /// A training step, as programs to run in this order: gradients of a shuffled batch, which records the mean of its negative
    /// log-densities as `loss`, in nats, and their update. Of the batches' options those count that say where vectors and conditions,
    /// real numbers both, are.
    ///
    /// # Errors
    /// Where the batches do not fit, or have no conditions where there must be; where the optimiser's options are not allowed.
    pub fn training(&self, batches: &Batches, optimiser: &Optimiser) -> Result<[Graph; 2]> {
        let mut g = Graph::new(self.layout.clone());
        let data = g.dataset(batches.data, Shape::new(batches.examples, self.config.features), batches.dtype);
        let x = g.gather(data, batches.rows, Order::Shuffled, batches.pixels)?;
        let condition = match (self.config.condition, batches.condition) {
            (0, _) => None,
            (width, Some(index)) => {
                let conditions = g.dataset(index, Shape::new(batches.examples, width), DType::F32);
                Some(g.gather(conditions, batches.rows, Order::Shuffled, Pixels::Grey)?)
            }
            (_, None) => return Err(no_conditions()),
        };
        let each = self.negative_log_density(&mut g, x, condition)?;
        let loss = g.apply(BatchMean.into(), &[each])?;
        g.record(&[("loss", loss)])?;
        let parameters: Vec<ParameterId> = self.layout.ids().filter(|id| self.layout.get(*id).trained).collect();
        store_gradients(&mut g, loss, &parameters, None)?;
        Ok([g, optimiser.update(&self.layout, &parameters)?])
    }

    /// Inputs `x` `[rows, features]`, and `condition` `[rows, condition]` if there is one; output `loss` `[rows, 1]`, the negative
    /// log-density of each row in nats.
    ///
    /// # Errors
    /// None of a flow that fits itself.
    pub fn density(&self, rows: usize) -> Result<Graph> {
        let mut g = Graph::new(self.layout.clone());
        let x = g.input("x", Shape::new(rows, self.config.features));
        let condition = self.given(&mut g, rows);
        let loss = self.negative_log_density(&mut g, x, condition)?;
        g.output("loss", loss);
        Ok(g)
    }

    /// The same inputs; output `gaussian` `[rows, 2 features]`, the `[mean | logvar]` that a layer gives each variable by those
    /// before it.
    ///
    /// # Panics
    /// If there are not as many layers.
    ///
    /// # Errors
    /// None of a flow that fits itself.
    pub fn conditionals(&self, layer: usize, rows: usize) -> Result<Graph> {
        let mut g = Graph::new(self.layout.clone());
        let x = g.input("x", Shape::new(rows, self.config.features));
        let condition = self.given(&mut g, rows);
        let gaussian = self.gaussian(&mut g, &self.layers[layer], x, condition)?;
        g.output("gaussian", gaussian);
        Ok(g)
    }

    /// The variables of a layer in its order.
    ///
    /// # Panics
    /// If there are not as many layers.
    pub fn order(&self, layer: usize) -> Vec<usize> {
        let variables = 0..self.config.features;
        match self.layers[layer].direction {
            Direction::Forward => variables.collect(),
            Direction::Reverse => variables.rev().collect(),
        }
    }

    fn given(&self, g: &mut Graph, rows: usize) -> Option<NodeId> {
        let width = self.config.condition;
        (width > 0).then(|| g.input(CONDITION, Shape::new(rows, width)))
    }

    /// `-log p(x)` of each row, `[rows, 1]`, in nats.
    fn negative_log_density(&self, g: &mut Graph, mut x: NodeId, condition: Option<NodeId>) -> Result<NodeId> {
        let features = self.config.features;
        // What sums the logvar of [mean | logvar], halved.
        let [nothing, half] = [0.0, 0.5].map(|value| Constant::new(value, Shape::new(1, features)));
        let [nothing, half] = [g.apply(nothing.into(), &[])?, g.apply(half.into(), &[])?];
        let halves = g.apply(Concat.into(), &[nothing, half])?; // [1, 2 features]
        let mut volume = None;
        for layer in &self.layers {
            let gaussian = self.gaussian(g, layer, x, condition)?; // [rows, 2 features]
            x = g.apply(Whiten.into(), &[x, gaussian])?;
            let of_layer = g.matmul(gaussian, halves, Transpose::B)?; // [rows, 1]
            volume = Some(match volume {
                Some(sum) => g.add_scaled(sum, of_layer, Factor::Constant(1.0))?,
                None => of_layer,
            });
        }
        let squares = g.apply(PowerSum { norm: Norm::L2 }.into(), &[x])?; // [rows, 1]
        let zero = g.apply(Constant::new(0.0, Shape::SCALAR).into(), &[])?;
        let of_normal = g.apply(Gaussian { features }.into(), &[squares, zero])?;
        volume.map_or(Ok(of_normal), |volume| g.add_scaled(of_normal, volume, Factor::Constant(1.0)))
    }

    /// `[mean | logvar]` of each variable of x by those before it, `[rows, 2 features]`.
    fn gaussian(&self, g: &mut Graph, layer: &Made, x: NodeId, condition: Option<NodeId>) -> Result<NodeId> {
        let features = self.config.features;
        let (variables, hidden) = (Units::Variables(features, layer.direction), Units::Hidden(features));
        let last = layer.weights.len() - 1;
        layer.weights.iter().enumerate().try_fold(x, |h, (at, weights)| {
            let mask = AutoregressiveMask {
                inputs: if at == 0 { variables } else { hidden },
                outputs: if at == last { variables } else { hidden },
            };
            let weight = g.parameter(weights.weight);
            let weight = g.apply(mask.into(), &[weight])?;
            let mut sum = g.matmul(h, weight, Transpose::B)?;
            if let (Some(condition), Some(weight)) = (condition, weights.of_condition) {
                let weight = g.parameter(weight);
                let of_condition = g.matmul(condition, weight, Transpose::B)?;
                sum = g.add_scaled(sum, of_condition, Factor::Constant(1.0))?;
            }
            let bias = g.parameter(weights.bias);
            g.bias_activation(sum, bias, if at == last { Activation::Identity } else { Activation::Tanh })
        })
    }
}
