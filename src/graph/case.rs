//! A graph of one op, to test and time it by.

use super::{Graph, NodeId, ParameterLayout};
use crate::error::Result;
use crate::ops::{Case, Fill};
use crate::tensor::DType;

impl Graph {
    /// A graph of a case's op alone: inputs `in0`, `in1`, ..., output `out`; and the nodes of both.
    pub fn of_case(case: &Case) -> Result<(Graph, Vec<NodeId>, NodeId)> {
        let mut graph = Graph::new(ParameterLayout::default());
        let leaf = |(at, &(shape, fill))| match fill {
            Fill::Bytes => graph.dataset(0, shape, DType::U8),
            Fill::Reals => graph.dataset(0, shape, DType::F32),
            Fill::Normal | Fill::Wide | Fill::Unit | Fill::Few => graph.input(&format!("in{at}"), shape),
        };
        let inputs: Vec<NodeId> = case.inputs.iter().enumerate().map(leaf).collect();
        let output = graph.apply(case.op.clone(), &inputs)?;
        graph.output("out", output);
        Ok((graph, inputs, output))
    }
}
