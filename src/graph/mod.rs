//! Meaning: what is computed, as a graph of operations on matrices. No device, no buffer, no order beyond data flow.
//!
//! Every value is a matrix `[rows, cols]`; a scalar is `[1, 1]`, a bias `[1, n]`. A [`Graph`] only ever grows:
//! [`differentiate`] adds gradient nodes beside the nodes it reads, so gradients are ordinary values, and what is not
//! needed in the end is left out by the planner.
//!
//! Two codebases were read for this part: tinygrad (gradient rules yield graph nodes, one small rule an operation) and
//! PyTorch's autograd (a tape of backward objects). The first was taken: a graph that can be printed, planned and run on
//! either back-end needs no second mechanism for its backward pass.

mod case;
mod differentiate;
mod parameters;

pub use crate::ops::{Backward, NodeId};
pub use differentiate::differentiate;
pub use parameters::{Init, Parameter, ParameterId, ParameterLayout};

use crate::error::{Result, graph_error};
use crate::ops::{Activation, ClipFactor, Effect, Factor, Nodes, Op, Order, Pixels, SquareSums, Transpose};
use crate::rng::Stream;
use crate::tensor::{DType, Shape};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A trained matrix, living in the parameter arena.
    Parameter(ParameterId),
    /// A resident data set `[examples, features]`. The index is the order in which a session was given them.
    Dataset(usize),
    /// Values written by the host before a run.
    Input(String),
    /// Computed.
    Op(Op),
    /// Computed along with the value of its one input, by the same op. Only fusion makes these.
    Secondary,
}

/// One value: where it comes from, what it is computed from, its shape.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where the value comes from.
    pub source: Source,
    /// What it is computed from; empty for leaves.
    pub inputs: Vec<NodeId>,
    /// Its shape.
    pub shape: Shape,
    /// How it is stored.
    pub dtype: DType,
}

/// A computation over the parameters of one model.
#[derive(Clone, Debug)]
pub struct Graph {
    layout: ParameterLayout,
    nodes: Vec<Node>,
    outputs: Vec<(String, NodeId)>,
    effects: Vec<NodeId>,
    gradients: Vec<(ParameterId, NodeId)>,
}

impl Graph {
    /// An empty graph over these parameters.
    pub fn new(layout: ParameterLayout) -> Graph {
        Graph { layout, nodes: Vec::new(), outputs: Vec::new(), effects: Vec::new(), gradients: Vec::new() }
    }

    /// The parameters this graph may name.
    pub fn layout(&self) -> &ParameterLayout {
        &self.layout
    }

    /// All nodes, each after everything it is computed from.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node behind an id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// The shape of a value.
    pub fn shape(&self, id: NodeId) -> Shape {
        self.node(id).shape
    }

    /// Values that can be read back after a run, by name.
    pub fn outputs(&self) -> &[(String, NodeId)] {
        &self.outputs
    }

    /// Nodes that are run for what they do: updates, accumulations and records.
    pub fn effects(&self) -> &[NodeId] {
        &self.effects
    }

    /// The parameters' gradients, which live in the gradient arena.
    pub fn gradients(&self) -> &[(ParameterId, NodeId)] {
        &self.gradients
    }

    /// All ids, in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// A parameter's value.
    pub fn parameter(&mut self, id: ParameterId) -> NodeId {
        let shape = self.layout.get(id).shape;
        self.leaf(Source::Parameter(id), shape, DType::F32)
    }

    /// A resident data set of `shape` = `[examples, features]`, bytes or reals.
    pub fn dataset(&mut self, index: usize, shape: Shape, dtype: DType) -> NodeId {
        self.leaf(Source::Dataset(index), shape, dtype)
    }

    /// A value that the host writes before a run.
    pub fn input(&mut self, name: &str, shape: Shape) -> NodeId {
        self.leaf(Source::Input(name.to_owned()), shape, DType::F32)
    }

    /// Names a value so that it can be read back after a run.
    pub fn output(&mut self, name: &str, id: NodeId) {
        self.outputs.push((name.to_owned(), id));
    }

    /// Adds the value `op(inputs)`.
    ///
    /// # Errors
    /// Where the op's shape rule does not allow these inputs; the message names the op, the shapes and the rule. Where
    /// an input is stored otherwise than the op reads it.
    pub fn apply(&mut self, op: Op, inputs: &[NodeId]) -> Result<NodeId> {
        if let Some(&wrong) = inputs.iter().find(|&&input| self.node(input).dtype != op.reads()) {
            let (name, reads, Node { source, dtype, .. }) = (op.name(), op.reads(), self.node(wrong));
            return graph_error(format!("{name}: {source:?} is stored as {dtype:?}: it reads {reads:?}"));
        }
        if op.effect() == Effect::UpdateState {
            let state = inputs.first().map(|&state| &self.node(state).source);
            if !matches!(state, Some(Source::Input(_))) || inputs[1..].contains(&inputs[0]) {
                let name = op.name();
                return graph_error(format!(
                    "{name}: it updates {state:?}: that must be an input the host writes, and no other input of it"
                ));
            }
        }
        let shapes: Vec<Shape> = inputs.iter().map(|&i| self.shape(i)).collect();
        let shape = op.shape(&shapes)?;
        self.nodes.push(Node { source: Source::Op(op), inputs: inputs.to_vec(), shape, dtype: DType::F32 });
        Ok(NodeId(self.nodes.len() - 1))
    }

    /// Marks gradients, to be placed in the gradient arena, and adds the update `op` of their parameters, which reads
    /// them there. With `clip` gradients of a norm (over all of them) above it are scaled down to it: see [`ClipFactor`].
    ///
    /// # Errors
    /// Where the parameters are not consecutive ones of the layout, or one has its update already.
    pub fn update(&mut self, op: Op, mut gradients: Vec<(ParameterId, NodeId)>, clip: Option<f64>) -> Result<()> {
        gradients.sort_by_key(|&(parameter, _)| parameter);
        if let Some(pair) = gradients.windows(2).find(|pair| pair[0].0.0 + 1 != pair[1].0.0) {
            let [before, after] = [pair[0].0, pair[1].0].map(|id| self.layout.get(id).name.as_str());
            let name = op.name();
            return graph_error(format!(
                "{name}: it updates {before} and next {after}: parameters updated together must be consecutive"
            ));
        }
        if let Some((id, _)) = gradients.iter().find(|(id, _)| self.gradients.iter().any(|(known, _)| known == id)) {
            let name = op.name();
            return graph_error(format!("{name}: {} has an update already", self.layout.get(*id).name));
        }
        let mut inputs: Vec<NodeId> = gradients.iter().map(|&(_, node)| node).collect();
        if let Some(max_norm) = clip {
            let sums = self.apply(SquareSums.into(), &inputs)?; // [1, parts]
            inputs.push(self.apply(ClipFactor { max_norm }.into(), &[sums])?); // [1, 1]
        }
        let id = self.apply(op, &inputs)?;
        self.gradients.extend(gradients);
        self.effects.push(id);
        Ok(())
    }

    /// Adds `op`, which updates the value of its first input in place: an input that the host writes, and that keeps what
    /// it holds from step to step. Name it as an output too to read it back.
    ///
    /// # Errors
    /// Where the first input is no [`Source::Input`], or the op's shape rule does not allow the inputs.
    pub fn update_state(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Result<()> {
        let op = op.into();
        if op.effect() != Effect::UpdateState {
            return graph_error(format!("{}: it updates no input in place", op.name()));
        }
        let id = self.apply(op, inputs)?;
        self.effects.push(id);
        Ok(())
    }

    /// `op(a) op(b)`, with either factor transposed: see [`crate::ops::Matmul`].
    pub fn matmul(&mut self, a: NodeId, b: NodeId, transpose: Transpose) -> Result<NodeId> {
        self.apply(crate::ops::Matmul::new(transpose).into(), &[a, b])
    }

    /// `activation(x + bias)`; bias is `[1, cols]`.
    pub fn bias_activation(&mut self, x: NodeId, bias: NodeId, activation: Activation) -> Result<NodeId> {
        self.apply(crate::ops::BiasActivation { activation }.into(), &[x, bias])
    }

    /// `a + factor * b`.
    pub fn add_scaled(&mut self, a: NodeId, b: NodeId, factor: Factor) -> Result<NodeId> {
        self.apply(crate::ops::AddScaled { factor }.into(), &[a, b])
    }

    /// A batch of `rows` examples of a data set.
    pub fn gather(&mut self, data: NodeId, rows: usize, order: Order, pixels: Pixels) -> Result<NodeId> {
        let dtype = self.node(data).dtype;
        self.apply(crate::ops::Gather { rows, order, pixels, dtype }.into(), &[data])
    }

    /// A draw from `N(mean, exp(logvar))` a row, where `posterior` = `[mean | logvar]`.
    pub fn reparameterise(&mut self, posterior: NodeId, stream: Stream) -> Result<NodeId> {
        self.apply(crate::ops::Reparameterise { stream, samples: 1 }.into(), &[posterior])
    }

    /// Writes one to three scalars to the step's row of the metrics ring, from column `first` on.
    pub fn record(&mut self, first: usize, scalars: &[NodeId]) -> Result<()> {
        let id = self.apply(crate::ops::Record { first }.into(), scalars)?;
        self.effects.push(id);
        Ok(())
    }

    /// Puts `op` in place of the node's own and gives it these inputs, which fit it. For the planner's fusion.
    pub(crate) fn replace(&mut self, id: NodeId, op: impl Into<Op>, inputs: Vec<NodeId>) {
        let op = op.into();
        let shapes: Vec<Shape> = inputs.iter().map(|&input| self.shape(input)).collect();
        let shape = op.shape(&shapes).expect("fusion keeps to the ops' shape rules");
        self.nodes[id.0] = Node { source: Source::Op(op), inputs, shape, dtype: DType::F32 };
    }

    /// Makes `id` a value of `shape` that the op behind `main` computes too. For the planner's fusion.
    pub(crate) fn make_secondary(&mut self, id: NodeId, main: NodeId, shape: Shape) {
        self.nodes[id.0] = Node { source: Source::Secondary, inputs: vec![main], shape, dtype: DType::F32 };
    }

    /// Lets whatever reads `old` read `new`. For the planner's fusion.
    pub(crate) fn redirect(&mut self, old: NodeId, new: NodeId) {
        for input in self.nodes.iter_mut().flat_map(|node| &mut node.inputs) {
            if *input == old {
                *input = new;
            }
        }
    }

    fn leaf(&mut self, source: Source, shape: Shape, dtype: DType) -> NodeId {
        if let Some(found) = self.nodes.iter().position(|node| node.source == source) {
            return NodeId(found);
        }
        self.nodes.push(Node { source, inputs: Vec::new(), shape, dtype });
        NodeId(self.nodes.len() - 1)
    }
}

/// What gradient rules see of a graph.
impl Nodes for Graph {
    fn apply(&mut self, op: Op, inputs: &[NodeId]) -> Result<NodeId> {
        Graph::apply(self, op, inputs)
    }

    fn shape(&self, id: NodeId) -> Shape {
        Graph::shape(self, id)
    }
}
