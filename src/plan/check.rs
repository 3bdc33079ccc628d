//! What a graph may do with values that keep their place from step to step, checked in the graph's own order, before ops are
//! fused or moved.
//!
//! A dispatch may not read and write one buffer, in WebGPU as on the CPU, and what a step updated may not be read again as if it
//! were old. A gradient that others read too, or that is no op's value, is stored as a copy, so that nothing reads the gradients'
//! arena but an update.

use crate::error::{Result, graph_error};
use crate::graph::{GRADIENTS, Graph, NodeId, PARAMETERS, Source};
use std::ops::Range;

/// A leaf that can be updated in place: a part of an arena, or an input.
#[derive(Clone, Debug, PartialEq)]
enum Leaf {
    Arena(&'static str, Range<usize>),
    Input(NodeId),
}

impl Leaf {
    fn of(graph: &Graph, id: NodeId) -> Option<Leaf> {
        let node = graph.node(graph.root(id));
        let span = |first: usize| first..first + node.shape.len();
        match &node.source {
            Source::Parameter(parameter) => Some(Leaf::Arena(PARAMETERS, span(graph.layout().get(*parameter).offset))),
            Source::Arena(name, first) => Some(Leaf::Arena(name, span(*first))),
            Source::Input(_) => Some(Leaf::Input(graph.root(id))),
            Source::Dataset(_) | Source::Op(_) | Source::Secondary | Source::View => None,
        }
    }

    /// Whether both have a value in common.
    fn overlaps(&self, other: &Leaf) -> bool {
        match (self, other) {
            (Leaf::Arena(name, a), Leaf::Arena(other, b)) => name == other && a.start < b.end && b.start < a.end,
            _ => self == other,
        }
    }

    /// Whether both lie in one buffer.
    fn shares_a_buffer(&self, other: &Leaf) -> bool {
        match (self, other) {
            (Leaf::Arena(name, _), Leaf::Arena(other, _)) => name == other,
            _ => self == other,
        }
    }
}

/// Stores copies of gradients that are no value of an op, or that something else reads.
pub(super) fn copy_shared_gradients(graph: &mut Graph) -> Result<()> {
    for at in 0..graph.gradients().len() {
        let gradient = graph.gradients()[at].1;
        let read = graph.nodes().iter().any(|node| node.inputs.contains(&gradient));
        let twice = graph.gradients().iter().enumerate().any(|(other, (_, node))| other != at && *node == gradient);
        let named = graph.outputs().iter().any(|(_, output)| *output == gradient);
        if read || twice || named || !matches!(graph.node(gradient).source, Source::Op(_)) {
            graph.copy_gradient(at)?;
        }
    }
    Ok(())
}

/// Checks updates, and the names of inputs and data sets.
///
/// # Errors
/// [`crate::Error::Graph`] where an op updates what it also reads, or two values in one arena's same place; where a value is
/// read after the step updated it; where a graph that stores gradients reads their arena; where a name stands for two shapes.
pub(super) fn check(graph: &Graph, live: &[bool]) -> Result<()> {
    let mut updated: Vec<Leaf> = Vec::new();
    for id in graph.ids().filter(|id| live[id.0]) {
        let node = graph.node(id);
        let Source::Op(op) = &node.source else {
            one_meaning(graph, live, id)?;
            continue;
        };
        let count = op.effect().updated();
        let leaves: Vec<(usize, Leaf)> =
            node.inputs.iter().enumerate().filter_map(|(at, &input)| Some((at, Leaf::of(graph, input)?))).collect();
        for (at, leaf) in &leaves {
            let source = &graph.node(node.inputs[*at]).source;
            if updated.iter().any(|updated| updated.overlaps(leaf)) {
                return graph_error(format!("{}: reads {source:?} after this step updated it", op.name()));
            }
            let own = leaves.iter().take_while(|(other, _)| *other < count).filter(|(other, _)| other != at);
            let mut own = own.map(|(other, leaf)| (*other, leaf));
            // Its own updates may lie in one buffer, apart; what it only reads may not.
            if own.any(|(_, other)| if *at < count { leaf.overlaps(other) } else { leaf.shares_a_buffer(other) }) {
                return graph_error(format!(
                    "{}: updates and reads the buffer of {source:?}: they must be different buffers",
                    op.name()
                ));
            }
        }
        updated.extend(leaves.into_iter().filter(|(at, _)| *at < count).map(|(_, leaf)| leaf));
    }
    Ok(())
}

/// A leaf's name stands for one value, and a graph that stores gradients does not read them.
fn one_meaning(graph: &Graph, live: &[bool], id: NodeId) -> Result<()> {
    let node = graph.node(id);
    if matches!(node.source, Source::Arena(GRADIENTS, _)) && !graph.gradients().is_empty() {
        return graph_error("a graph that stores gradients reads their arena: the update must be a graph of its own");
    }
    if !matches!(node.source, Source::Input(_) | Source::Dataset(_)) {
        return Ok(());
    }
    let other = graph.ids().find(|&other| other < id && live[other.0] && graph.node(other).source == node.source);
    match other {
        None => Ok(()),
        Some(other) => {
            let (source, one, two) = (&node.source, graph.shape(other), node.shape);
            graph_error(format!("{source:?} is {one} and {two}: it must have one shape"))
        }
    }
}
