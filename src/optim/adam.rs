//! AdamW: [`Adam`] with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2; without decay it is Adam itself).

use crate::error::Result;
use crate::graph::{Graph, NodeId, PARAMETERS};
use crate::ops::{Adam, DECAY};
use crate::step::Scalars;
use std::ops::Range;

/// Adam, and the weight decay.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AdamW {
    /// Adam's constants.
    pub adam: Adam,
    /// Parameters shrink by this times the learning rate a step.
    pub weight_decay: f64,
}

impl AdamW {
    /// Means of gradients, and of their squares.
    pub(super) const ARENAS: &[&str] = &["adam.first", "adam.second"];

    pub(super) fn scalars(&self, rate: f64, t: u64) -> Scalars {
        Scalars::from(self.adam.corrected(rate, t)).with(DECAY, 1.0 - rate * self.weight_decay)
    }

    pub(super) fn update(
        &self,
        g: &mut Graph,
        span: Range<usize>,
        gradients: NodeId,
        factor: Option<NodeId>,
    ) -> Result<()> {
        let parameters = g.arena(PARAMETERS, span.clone());
        let [first, second] = [Self::ARENAS[0], Self::ARENAS[1]].map(|name| g.arena(name, span.clone()));
        let inputs: Vec<NodeId> = [parameters, first, second, gradients].into_iter().chain(factor).collect();
        g.update(self.adam, &inputs)
    }
}
