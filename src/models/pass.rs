//! What a network is told besides its input: the examples' condition, and what sets training apart from evaluation, where batch norm
//! takes its statistics from.
//!
//! In training they are the batch's, and move the running ones, state that evaluation reads. A network that a phase does not
//! train takes the batch's too, but moves nothing: its running statistics are moved in its own phase.

use crate::error::Result;
use crate::graph::{Graph, NodeId, ParameterId};
use crate::ops::{MovingAverage, Op, UpdateRunning};
use crate::tensor::Shape;

/// The weight of a batch in state that follows; PyTorch's default of running statistics.
const MOMENTUM: f64 = 0.1;

/// A pass through networks.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    /// Examples of the batch, in training.
    examples: Option<usize>,
    /// The condition of each example, `[examples, width]`, where the model has one.
    condition: Option<NodeId>,
    /// Statistics of the batch, in the order in which they were taken, for each running mean and variance.
    seen: Vec<Seen>,
    /// State, and how a value of the step moves it.
    moved: Vec<(ParameterId, Op, NodeId)>,
}

#[derive(Debug)]
struct Seen {
    running: [ParameterId; 2],
    op: UpdateRunning,
    statistics: Vec<NodeId>,
}

impl Pass {
    /// A pass in evaluation.
    pub(super) fn evaluation(condition: Option<NodeId>) -> Pass {
        Pass { condition, ..Pass::default() }
    }

    /// A pass in training, with so many examples.
    pub(super) fn training(examples: usize, condition: Option<NodeId>) -> Pass {
        Pass { examples: Some(examples), condition, ..Pass::default() }
    }

    /// The same pass through networks whose running statistics are not to move.
    pub(super) fn frozen(&self) -> Pass {
        Pass { examples: self.examples, condition: self.condition, ..Pass::default() }
    }

    /// The condition of each example, `[examples, width]`; none where the model has none.
    pub(super) fn condition(&self) -> Option<NodeId> {
        self.condition
    }

    /// Examples of the batch whose statistics count; none in evaluation.
    pub(super) fn examples(&self) -> Option<usize> {
        self.examples
    }

    /// Notes the batch's statistics of `x`, which has so many images an example.
    pub(super) fn saw(&mut self, running: [ParameterId; 2], statistics: NodeId, samples: usize, x: Shape) {
        let pixels = x.rows() / x.extents()[0];
        let op = UpdateRunning { momentum: MOMENTUM, samples, pixels };
        match self.seen.iter_mut().find(|seen| seen.running == running && seen.op == op) {
            Some(seen) => seen.statistics.push(statistics),
            None => self.seen.push(Seen { running, op, statistics: vec![statistics] }),
        }
    }

    /// Lets state follow a value of the step.
    pub(super) fn follow(&mut self, state: ParameterId, value: NodeId) {
        self.moves(state, MovingAverage { momentum: MOMENTUM }, value);
    }

    /// Lets a value of the step move state by an op that updates it.
    pub(super) fn moves(&mut self, state: ParameterId, op: impl Into<Op>, value: NodeId) {
        self.moved.push((state, op.into(), value));
    }

    /// Adds the updates of running statistics, and of other state.
    pub(super) fn finish(self, g: &mut Graph) -> Result<()> {
        for (state, op, value) in self.moved {
            let state = g.parameter(state);
            g.update(op, &[state, value])?;
        }
        self.seen.into_iter().try_for_each(|Seen { running, op, statistics }| {
            let mut inputs: Vec<NodeId> = running.iter().map(|&id| g.parameter(id)).collect();
            inputs.extend(statistics);
            g.update(op, &inputs)
        })
    }
}
