//! Graphs as a page runs them: recordings for each kind of adapter, at WebGPU's default limits.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use crate::error::Result;
use crate::graph::{Graph, PARAMETERS};
use crate::ops::{AdapterClass, DeviceProfile};
use crate::plan::{BufferId, Fusion, Options, Plan, Recording, compile, lower};

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
}

/// The elements of the parameters' arena that plans read.
pub(super) fn parameters_read<'p>(plans: impl IntoIterator<Item = &'p Plan>) -> Vec<Range<usize>> {
    let inputs = plans.into_iter().flat_map(|plan| &plan.dispatches).flat_map(|dispatch| &dispatch.inputs);
    let read = inputs.filter(|view| view.buffer == BufferId::Arena(PARAMETERS));
    let mut read: Vec<Range<usize>> = read
        .map(|view| {
            let start = view.offset / size_of::<f32>();
            start..start + view.shape.len()
        })
        .collect();
    read.sort_unstable_by_key(|range| (range.start, range.end));
    read.dedup();
    read
}
