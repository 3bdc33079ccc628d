//! Graphs as a page runs them: recordings for each kind of adapter, at WebGPU's default limits.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use crate::error::Result;
use crate::graph::{Graph, PARAMETERS};
use crate::ops::{AdapterClass, DeviceProfile};
use crate::plan::recording::Role;
use crate::plan::{Fusion, Options, Plan, Recording, compile, lower};

/// Recordings by name, for a kind of adapter.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Programs(BTreeMap<&'static str, BTreeMap<&'static str, Vec<Recording>>>);

/// The plan of a graph.
pub(super) fn plan(graph: &Graph) -> Result<Plan> {
    compile(graph, Options::new(Fusion::All))
}

impl Programs {
    /// Lowers plans for adapters of these classes.
    pub(super) fn lower(
        plans: &BTreeMap<&'static str, Vec<Plan>>,
        classes: &[(&'static str, AdapterClass)],
    ) -> Result<Programs> {
        let of_class = |class| {
            let profile = DeviceProfile::new(class);
            let lowered = |(name, plans): (&&'static str, &Vec<Plan>)| {
                Ok((*name, plans.iter().map(|plan| lower(plan, &profile)).collect::<Result<Vec<_>>>()?))
            };
            plans.iter().map(lowered).collect::<Result<BTreeMap<_, _>>>()
        };
        Ok(Programs(classes.iter().map(|&(name, class)| Ok((name, of_class(class)?))).collect::<Result<_>>()?))
    }

    /// The elements of the parameters' arena that the programs read.
    pub(super) fn parameters(&self) -> Vec<Range<usize>> {
        let recordings = self.0.values().take(1).flat_map(BTreeMap::values).flatten();
        let mut read: Vec<Range<usize>> = Vec::new();
        for recording in recordings {
            let is_arena = |at: usize| recording.buffers[at].role == Role::Arena(PARAMETERS.to_owned());
            let bound = recording.prologue.iter().chain(&recording.dispatches).flat_map(|dispatch| &dispatch.bindings);
            let ranges = bound.filter(|binding| is_arena(binding.buffer));
            read.extend(ranges.map(|binding| {
                let [start, len] = [binding.offset, binding.bytes].map(|bytes| bytes as usize / size_of::<f32>());
                start..start + len
            }));
        }
        read.sort_unstable_by_key(|range| (range.start, range.end));
        read.dedup();
        read
    }
}
