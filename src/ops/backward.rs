//! What an op's gradient rule sees of the graph that it adds nodes to. The graph itself stands above the ops.

use super::Op;
use crate::error::{Result, graph_error};
use crate::tensor::Shape;

/// A value of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) usize);

/// A graph, as gradient rules need it.
pub trait Nodes {
    /// Adds the value `op(inputs)`.
    ///
    /// # Errors
    /// Where the op's shape rule does not allow these inputs.
    fn apply(&mut self, op: Op, inputs: &[NodeId]) -> Result<NodeId>;

    /// The shape of a value.
    fn shape(&self, id: NodeId) -> Shape;
}

/// What an op's gradient rule may see, and the nodes it adds to.
pub struct Backward<'a> {
    /// The graph to add to.
    pub nodes: &'a mut dyn Nodes,
    /// The op's inputs.
    pub inputs: &'a [NodeId],
    /// The op's own value.
    pub output: NodeId,
    /// The gradient with respect to the op's value, of its shape.
    pub d_output: NodeId,
    /// Which inputs' gradients are asked for; a rule may skip the others.
    pub wanted: &'a [bool],
}

impl Backward<'_> {
    /// Adds a node.
    pub fn apply(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Result<NodeId> {
        self.nodes.apply(op.into(), inputs)
    }

    /// The shape of a value.
    pub fn shape(&self, id: NodeId) -> Shape {
        self.nodes.shape(id)
    }

    /// The explicit "no gradient": an error that names the op and says why.
    pub fn none<T>(&self, op: &str, why: &str) -> Result<T> {
        graph_error(format!("{op} has no gradient: {why}"))
    }
}
