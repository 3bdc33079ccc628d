//! Storage: which values are kept in half precision, with [`Options::half`](super::Options).
//!
//! Those are activations, what the layers of a network pass on: most of what a training step writes and reads again, and near one.
//! Their readers compute in f32. Gradients stay f32, whose range they need: f16 has nothing below 6e-8. So there is no loss to scale,
//! unlike in mixed precision of Micikevicius et al. 2018, where gradients are f16 too. What is larger than 65504 becomes an
//! infinity.
//!
//! A value is stored so where the kernel that computes it can store it, all that read it can load it, its last extent is a multiple
//! of four, which invocations store together, and nothing outside the plan reads it.

use crate::graph::{Graph, NodeId, Source};
use crate::ops::Op;
use crate::tensor::DType;

/// What an invocation stores at once.
const TOGETHER: usize = 4;

/// Lets activations be stored in half precision.
pub(super) fn halve(graph: &mut Graph) {
    let halves: Vec<NodeId> = graph.ids().filter(|&id| fits(graph, id)).collect();
    for id in halves {
        graph.store_as(id, DType::F16);
    }
}

fn fits(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    let Source::Op(op) = &node.source else { return false };
    let is_named = graph.outputs().iter().any(|&(_, output)| graph.root(output) == id)
        || graph.gradients().iter().any(|&(_, gradient)| graph.root(gradient) == id);
    if is_named || !node.shape.cols().is_multiple_of(TOGETHER) {
        return false;
    }
    let (mut is_activation, mut can_load) = (op.is_activation(), true);
    for (reader, input) in readers(graph, id) {
        // A layer's sums that a norm takes: without a bias or an activation they look like a gradient.
        is_activation |= matches!(reader, Op::Normalise(_)) && op.is_matmul();
        can_load &= reader.loads_half(input);
    }
    is_activation && can_load
}

/// The ops that read a value or a view of it, and as which input.
fn readers(graph: &Graph, id: NodeId) -> impl Iterator<Item = (&Op, usize)> {
    graph
        .ids()
        .filter_map(|reader| match &graph.node(reader).source {
            Source::Op(op) => Some((op, &graph.node(reader).inputs)),
            _ => None,
        })
        .flat_map(move |(op, inputs)| {
            inputs.iter().enumerate().filter(move |(_, input)| graph.root(**input) == id).map(move |(at, _)| (op, at))
        })
}
