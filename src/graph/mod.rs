//! Meaning: what is computed, as a graph of operations on matrices. No device, no buffer, no order beyond data flow.
//!
//! Every value has one to four extents; a scalar is `[1, 1]`, a bias `[n]`. A [`Graph`] only ever grows:
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
pub use parameters::{ChannelsFirst, GRADIENTS, Init, PARAMETERS, Parameter, ParameterId, ParameterLayout};

use crate::error::{Result, graph_error};
use crate::ops::{Activation, Factor, Nodes, Op, Order, Over, Pixels, RECORDED, Transpose};
use crate::rng::Stream;
use crate::tensor::{DType, Shape};
use std::ops::Range;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A trained matrix, living in the parameter arena.
    Parameter(ParameterId),
    /// A resident data set `[examples, features]`. The index is the order in which a session was given them.
    Dataset(usize),
    /// A part of an arena, from this element on.
    Arena(&'static str, usize),
    /// Values written by the host before a run.
    Input(String),
    /// Computed.
    Op(Op),
    /// Computed along with the value of its one input, by the same op. Only fusion makes these.
    Secondary,
    /// The elements of its one input, which is no view itself, in another shape; see [`Graph::reshape`].
    View,
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
#[derive(Clone, Debug, Default)]
pub struct Graph {
    layout: ParameterLayout,
    nodes: Vec<Node>,
    outputs: Vec<(String, NodeId)>,
    effects: Vec<NodeId>,
    gradients: Vec<(ParameterId, NodeId)>,
    metrics: Vec<&'static str>,
}

impl Graph {
    /// An empty graph over these parameters.
    pub fn new(layout: ParameterLayout) -> Graph {
        Graph { layout, ..Graph::default() }
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

    /// Nodes that are run for what they do: updates and records.
    pub fn effects(&self) -> &[NodeId] {
        &self.effects
    }

    /// The parameters' gradients, which live in the arena of [`GRADIENTS`].
    pub fn gradients(&self) -> &[(ParameterId, NodeId)] {
        &self.gradients
    }

    /// Names of the recorded scalars, in the order of their columns.
    pub fn metrics(&self) -> &[&'static str] {
        &self.metrics
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

    /// A part of an arena as one row, `[1, elements]`.
    pub fn arena(&mut self, name: &'static str, elements: Range<usize>) -> NodeId {
        self.leaf(Source::Arena(name, elements.start), Shape::new(1, elements.len()), DType::F32)
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
        for &updated in inputs.iter().take(op.effect().updated()) {
            let source = &self.node(updated).source;
            if matches!(source, Source::Op(_) | Source::Secondary | Source::View | Source::Dataset(_)) {
                let name = op.name();
                return graph_error(format!(
                    "{name}: it updates {source:?}: that must be an input the host writes, a parameter or a part of an \
                     arena"
                ));
            }
        }
        let shapes: Vec<Shape> = inputs.iter().map(|&i| self.shape(i)).collect();
        let shape = op.shape(&shapes)?;
        Ok(self.push(Node { source: Source::Op(op), inputs: inputs.to_vec(), shape, dtype: DType::F32 }))
    }

    /// The same elements in another shape: no work, and no memory of its own.
    ///
    /// # Errors
    /// Where the numbers of elements differ, or the value is a data set.
    pub fn reshape(&mut self, id: NodeId, shape: Shape) -> Result<NodeId> {
        let Node { source, shape: found, .. } = self.node(id);
        if *found == shape {
            return Ok(id);
        }
        if found.len() != shape.len() || matches!(source, Source::Dataset(_)) {
            return graph_error(format!(
                "reshape: {found} to {shape}: it must be a value other than a data set, of as many elements"
            ));
        }
        let root = self.root(id);
        if self.shape(root) == shape {
            return Ok(root);
        }
        Ok(self.push(Node { source: Source::View, inputs: vec![root], shape, dtype: DType::F32 }))
    }

    /// The value that holds a value's elements: of a view what it shows, else the value itself.
    pub fn root(&self, id: NodeId) -> NodeId {
        match self.node(id) {
            Node { source: Source::View, inputs, .. } => inputs[0],
            _ => id,
        }
    }

    /// Places a parameter's gradient in the arena of [`GRADIENTS`], where an update reads it, and computes it for that.
    ///
    /// # Errors
    /// Where the parameter has its gradient already, or that is of another shape.
    pub fn store_gradient(&mut self, parameter: ParameterId, gradient: NodeId) -> Result<()> {
        let Parameter { name, shape, .. } = self.layout.get(parameter);
        if self.gradients.iter().any(|&(known, _)| known == parameter) {
            return graph_error(format!("{name}: it has its gradient already"));
        }
        let found = self.shape(gradient);
        if found != *shape {
            return graph_error(format!("{name}: its gradient is {found}: it must be {shape}, as the parameter is"));
        }
        self.gradients.push((parameter, gradient));
        Ok(())
    }

    /// Adds `op`, which updates the values of its first inputs in place: they keep what they hold from step to step. To read
    /// an input back, name it as an output too.
    ///
    /// # Errors
    /// Where the op updates nothing, or other than leaves, or its shape rule does not allow the inputs.
    pub fn update(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Result<()> {
        let op = op.into();
        if op.effect().updated() == 0 {
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

    /// `activation(x + bias)`; bias is `[cols]`. An activation that keeps its argument is a node of its own, so that the sum is
    /// kept once.
    pub fn bias_activation(&mut self, x: NodeId, bias: NodeId, activation: Activation) -> Result<NodeId> {
        if activation.keeps_argument() {
            let sum = self.bias_activation(x, bias, Activation::Identity)?;
            return self.apply(crate::ops::Activate { activation }.into(), &[sum]);
        }
        self.apply(crate::ops::BiasActivation { activation }.into(), &[x, bias])
    }

    /// `activation(x)`.
    pub fn activation(&mut self, x: NodeId, activation: Activation) -> Result<NodeId> {
        match activation {
            Activation::Identity => Ok(x),
            _ => self.apply(crate::ops::Activate { activation }.into(), &[x]),
        }
    }

    /// `(x - mean) / sqrt(variance + epsilon) * scale + shift`, and the statistics `[mean, variance]` of x that it takes; scale and
    /// shift are `[channels]`. Differentiated, it gives the gradient through the statistics too.
    pub fn normalise(
        &mut self,
        x: NodeId,
        scale: NodeId,
        shift: NodeId,
        over: Over,
        epsilon: f64,
    ) -> Result<[NodeId; 2]> {
        let moments = self.apply(crate::ops::Moments.into(), &[x])?; // [images, 2 channels]
        let statistics = self.apply(crate::ops::Statistics { over }.into(), &[moments])?;
        let normalise = crate::ops::Normalise { over, epsilon };
        let y = self.apply(normalise.into(), &[x, statistics, scale, shift])?;
        Ok([y, statistics])
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

    /// Records scalars of each step under these names: columns of the program's metrics, behind those that it has.
    ///
    /// # Errors
    /// Where a value is no scalar, or a name is taken.
    pub fn record(&mut self, scalars: &[(&'static str, NodeId)]) -> Result<()> {
        for some in scalars.chunks(RECORDED) {
            let first = self.metrics.len();
            for &(name, _) in some {
                if self.metrics.contains(&name) {
                    return graph_error(format!("record: the graph records {name} already"));
                }
                self.metrics.push(name);
            }
            let values: Vec<NodeId> = some.iter().map(|&(_, value)| value).collect();
            let id = self.apply(crate::ops::Record { first }.into(), &values)?;
            self.effects.push(id);
        }
        Ok(())
    }

    /// Lets a copy of a stored gradient be what is stored, where the value itself has another place. For the planner.
    pub(crate) fn copy_gradient(&mut self, at: usize) -> Result<()> {
        let copy = crate::ops::Scale { factor: Factor::Constant(1.0) };
        self.gradients[at].1 = self.apply(copy.into(), &[self.gradients[at].1])?;
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

    /// Stores a value so. For the planner.
    pub(crate) fn store_as(&mut self, id: NodeId, dtype: DType) {
        self.nodes[id.0].dtype = dtype;
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
        let same = |node: &Node| node.source == source && node.shape == shape && node.dtype == dtype;
        if let Some(found) = self.nodes.iter().position(same) {
            return NodeId(found);
        }
        self.push(Node { source, inputs: Vec::new(), shape, dtype })
    }

    fn push(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
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
