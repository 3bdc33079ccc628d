//! The unplanned interpreter: a buffer a node, to tell faults of the planner from faults of an op.

use super::super::*;
use crate::graph::{Graph, NodeId, Source};
use crate::ops::{Effect, Real, View};
use std::collections::HashMap;

/// The value of every node, each in memory of its own.
///
/// `parameters` is the parameter arena; `inputs` are by name. Records compute nothing; the value of an update is what its first
/// input holds after it.
///
/// # Errors
/// Where an input is missing or of the wrong length, or the graph reads an arena, as an optimiser's update does.
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
            Source::Dataset(index) => data[*index].values.reals(),
            Source::Input(name) => match inputs.get(name) {
                Some(values) if values.len() == node.shape.len() => values.clone(),
                _ => return Err(Error::Graph(format!("input {name} must be {} values", node.shape))),
            },
            Source::Secondary => return Err(Error::Graph("a graph that was fused is not interpreted".to_owned())),
            Source::View => values[node.inputs[0].0].clone(),
            Source::Arena(name, _) => {
                return Err(Error::Graph(format!("the arena {name} is not part of a bare graph")));
            }
            Source::Op(op) if op.effect() == Effect::Record => Vec::new(),
            Source::Op(op) => {
                let view = |&NodeId(id): &NodeId| {
                    let shape = graph.node(NodeId(id)).shape;
                    let bytes = match graph.node(NodeId(id)).source {
                        Source::Dataset(index) => data[index].values.bytes(),
                        _ => &[],
                    };
                    View { shape, values: &values[id], bytes }
                };
                let mut views: Vec<View<'_, T>> = node.inputs.iter().map(view).collect();
                let mut out: Vec<Vec<T>> = match op.effect().updated() {
                    0 => vec![vec![T::nan(); node.shape.len()]],
                    count => views.drain(..count).map(|view| view.values.to_vec()).collect(),
                };
                let mut outputs: Vec<&mut [T]> = out.iter_mut().map(Vec::as_mut_slice).collect();
                op.reference(step, &views, &mut outputs);
                out.swap_remove(0)
            }
        };
        values.push(value);
    }
    Ok(values)
}
