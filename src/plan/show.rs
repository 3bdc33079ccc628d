//! What can be read off a plan: how long its longest chain is, what it holds, its text.

use super::{Dispatch, Place, Plan, Slice};
use std::fmt;

impl Plan {
    /// The longest chain of dispatches in which each must wait for the one before: it reads or overwrites what that one
    /// wrote, or overwrites what that one reads.
    pub fn levels(&self) -> usize {
        let mut levels: Vec<usize> = Vec::new();
        let meet = |some: &[Slice], others: &[Slice]| some.iter().any(|slice| others.iter().any(|o| o.overlaps(slice)));
        for (at, later) in self.dispatches.iter().enumerate() {
            let waits_for = |(earlier, _): &(&Dispatch, &usize)| {
                meet(&earlier.outputs, &later.inputs)
                    || meet(&earlier.outputs, &later.outputs)
                    || meet(&earlier.inputs, &later.outputs)
            };
            let before = self.dispatches[..at].iter().zip(&levels).filter(waits_for);
            levels.push(1 + before.map(|(_, level)| *level).max().unwrap_or(0));
        }
        levels.into_iter().max().unwrap_or(0)
    }

    /// Elements of all local buffers.
    pub fn local_elements(&self) -> usize {
        self.locals.iter().sum()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slices = |slices: &[Slice]| slices.iter().map(|slice| slice.to_string()).collect::<Vec<_>>().join(", ");
        for (i, dispatch) in self.dispatches.iter().enumerate() {
            writeln!(f, "{i:2}  {} = {:?}({})", slices(&dispatch.outputs), dispatch.op, slices(&dispatch.inputs))?;
        }
        write!(
            f,
            "{} dispatches, {} levels, {} local buffers of {} elements",
            self.dispatches.len(),
            self.levels(),
            self.locals.len(),
            self.local_elements()
        )
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Arena(arena) => write!(f, "{arena:?}+{}", self.offset),
            Place::Metrics => write!(f, "Metrics"),
            Place::Dataset(index) => write!(f, "Dataset{index}"),
            Place::Local(local) => write!(f, "%{local}"),
        }?;
        write!(f, "{}", self.shape)
    }
}
