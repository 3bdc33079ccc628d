//! What sets training apart from evaluation inside a network: where batch norm takes its statistics from.
//!
//! In training they are the batch's, and move the running ones, state that evaluation reads. A network that a phase does not
//! train takes the batch's too, but moves nothing: its running statistics are moved in its own phase.

use crate::error::Result;
use crate::graph::{Graph, NodeId, ParameterId};
use crate::ops::{MovingAverage, UpdateRunning};
use crate::tensor::Shape;

/// The weight of a batch in state that follows; PyTorch's default of running statistics.
const MOMENTUM: f64 = 0.1;

/// A pass through networks.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    /// Examples of the batch, in training.
    examples: Option<usize>,
    /// Statistics of the batch, in the order in which they were taken, for each running mean and variance.
    seen: Vec<Seen>,
    /// State, and the values of the step that it follows.
    followed: Vec<(ParameterId, NodeId)>,
}

#[derive(Debug)]
struct Seen {
    running: [ParameterId; 2],
    op: UpdateRunning,
    statistics: Vec<NodeId>,
}

impl Pass {
    /// A pass in evaluation.
    pub(super) fn evaluation() -> Pass {
        Pass::default()
    }

    /// A pass in training, with so many examples.
    pub(super) fn training(examples: usize) -> Pass {
        Pass { examples: Some(examples), ..Pass::default() }
    }

    /// The same pass through networks whose running statistics are not to move.
    pub(super) fn frozen(&self) -> Pass {
        Pass { examples: self.examples, ..Pass::default() }
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
        self.followed.push((state, value));
    }

    /// Adds the updates of running statistics, and of other state that follows.
    pub(super) fn finish(self, g: &mut Graph) -> Result<()> {
        for (state, value) in self.followed {
            let state = g.parameter(state);
            g.update(MovingAverage { momentum: MOMENTUM }, &[state, value])?;
        }
        self.seen.into_iter().try_for_each(|Seen { running, op, statistics }| {
            let mut inputs: Vec<NodeId> = running.iter().map(|&id| g.parameter(id)).collect();
            inputs.extend(statistics);
            g.update(op, &inputs)
        })
    }
}
