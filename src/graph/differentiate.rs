//! Reverse-mode differentiation, from graph to larger graph.

use super::{Graph, NodeId, Source};
use crate::error::{Result, graph_error};
use crate::ops::{AddScaled, Backward, Factor};

/// Adds the gradients of `sum(value * seed)` with respect to each of `targets`, and returns them in that order.
/// `seed` has the shape of `value`; for a scalar loss it is the constant 1.
///
/// # Errors
/// Where an op on the way has no gradient, or a target does not reach `value`.
pub fn differentiate(graph: &mut Graph, value: NodeId, seed: NodeId, targets: &[NodeId]) -> Result<Vec<NodeId>> {
    let needs = reaches(graph, targets, value);
    let mut gradients: Vec<Option<NodeId>> = vec![None; value.0 + 1];
    gradients[value.0] = Some(seed);
    for index in (0..=value.0).rev() {
        let Some(d_output) = gradients[index] else { continue };
        let node = graph.node(NodeId(index)).clone();
        let wanted: Vec<bool> = node.inputs.iter().map(|input| needs[input.0]).collect();
        if !wanted.contains(&true) {
            continue;
        }
        let d_inputs = match &node.source {
            Source::Op(op) => op.gradient(&mut Backward {
                nodes: graph,
                inputs: &node.inputs,
                output: NodeId(index),
                d_output,
                wanted: &wanted,
            })?,
            Source::View => vec![Some(graph.reshape(d_output, graph.shape(node.inputs[0]))?)],
            _ => continue,
        };
        for ((input, d_input), wanted) in node.inputs.iter().zip(d_inputs).zip(wanted) {
            let (Some(d_input), true) = (d_input, wanted) else { continue };
            let slot = &mut gradients[input.0];
            *slot = Some(match *slot {
                None => d_input,
                Some(before) => graph.apply(AddScaled { factor: Factor::Constant(1.0) }.into(), &[before, d_input])?,
            });
        }
    }
    targets
        .iter()
        .map(|target| match gradients.get(target.0).copied().flatten() {
            Some(gradient) => Ok(gradient),
            None => graph_error(format!("{:?} does not reach the differentiated value", graph.node(*target).source)),
        })
        .collect()
}

/// For each node up to `value`: does a target lie on its way?
fn reaches(graph: &Graph, targets: &[NodeId], value: NodeId) -> Vec<bool> {
    let mut reach = vec![false; value.0 + 1];
    for index in 0..=value.0 {
        let node = graph.node(NodeId(index));
        reach[index] = targets.contains(&NodeId(index)) || node.inputs.iter().any(|input| reach[input.0]);
    }
    reach
}
