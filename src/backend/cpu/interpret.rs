//! A bare graph, run node by node without a plan: what tells the planner's faults from an op's.

use super::*;
use crate::graph::{Graph, NodeId, Source};
use crate::ops::Effect;
use std::collections::HashMap;

/// The value of every node, each in memory of its own.
///
/// `parameters` is the parameter arena; `inputs` are by name. Effects compute nothing: read the gradients' own nodes.
///
/// # Errors
/// Where an input is missing or of the wrong length.
pub fn interpret<T: Real>(
    graph: &Graph,
    step: &Step,
    parameters: &[T],
    data: &[Data<'_>],
    inputs: &HashMap<String, Vec<T>>,
) -> Result<Vec<Vec<T>>> {
    let mut values: Vec<Vec<T>> = Vec::new();
    for node in graph.nodes() {
        let value = match &node.source {
            Source::Parameter(id) => parameters[graph.layout().get(*id).offset..][..node.shape.len()].to_vec(),
            Source::Dataset(_) => Vec::new(),
            Source::Input(name) => match inputs.get(name) {
                Some(values) if values.len() == node.shape.len() => values.clone(),
                _ => return Err(Error::Graph(format!("input {name} must be {} values", node.shape))),
            },
            Source::Op(op) if op.effect() != Effect::Value => Vec::new(),
            Source::Op(op) => {
                let view = |&NodeId(id): &NodeId| {
                    let shape = graph.node(NodeId(id)).shape;
                    let bytes = match graph.node(NodeId(id)).source {
                        Source::Dataset(index) => data[index].bytes,
                        _ => &[],
                    };
                    View { shape, values: &values[id], bytes }
                };
                let views: Vec<View<'_, T>> = node.inputs.iter().map(view).collect();
                let mut out = vec![T::nan(); node.shape.len()];
                op.reference(step, &views, &mut [&mut out]);
                out
            }
        };
        values.push(value);
    }
    Ok(values)
}
