//! A plan as text, and the memory that it takes.

use super::{Place, Plan, Slice};
use std::fmt;

impl Plan {
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
            "{} dispatches, {} local buffers of {} elements",
            self.dispatches.len(),
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
