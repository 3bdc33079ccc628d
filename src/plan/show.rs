//! A plan as text, and the memory that it takes.

use super::{BufferId, BufferView, Dispatch, Plan};
use std::fmt;

impl Plan {
    /// Bytes of all local buffers.
    pub fn local_bytes(&self) -> usize {
        self.locals.iter().sum()
    }

    /// The dispatches in groups that may run as one each.
    pub fn groups(&self) -> impl Iterator<Item = &[Dispatch]> {
        self.dispatches.chunk_by(|a, b| a.group == b.group)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let views = |views: &[BufferView]| views.iter().map(|view| view.to_string()).collect::<Vec<_>>().join(", ");
        for (number, group) in self.groups().enumerate() {
            for (i, dispatch) in group.iter().enumerate() {
                let at = if i == 0 { number.to_string() } else { String::new() };
                let (inputs, outputs) = (views(&dispatch.inputs), views(&dispatch.outputs));
                writeln!(f, "{at:>2}  {outputs} = {:?}({inputs})", dispatch.op)?;
            }
        }
        write!(
            f,
            "{} ops in {} dispatches, {} local buffers of {} bytes",
            self.dispatches.len(),
            self.groups().count(),
            self.locals.len(),
            self.local_bytes()
        )
    }
}

impl fmt::Display for BufferView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.buffer {
            BufferId::Arena(arena) => write!(f, "{arena}+{}", self.offset),
            BufferId::Metrics => write!(f, "metrics"),
            BufferId::Dataset(index) => write!(f, "data{index}"),
            BufferId::Local(local) => write!(f, "%{local}"),
        }?;
        write!(f, "{}", self.shape)
    }
}
