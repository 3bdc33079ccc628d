//! Optimisers: how parameters move along their gradients.
//!
//! An update is a program of its own, a graph over named arenas of a model's layout: it reads the gradients that
//! another program left there, and updates parameters and whatever it keeps for each (Adam's moments). So nothing else
//! in the crate knows an optimiser, and between the two programs a host may do what it likes with gradients, say sum
//! those of several machines. PyTorch's `torch.optim` keeps the same two apart (`backward()` and `step()`); optax
//! composes an update of small transformations of gradients, as [`Optimiser::clip`] is here.
//!
//! Another optimiser is a file beside `adam.rs` that provides `ARENAS`, `scalars` and `update`.

mod adam;

pub use adam::AdamW;

use crate::error::Result;
use crate::graph::{GRADIENTS, Graph, ParameterId, ParameterLayout};
use crate::ops::{Accumulate, ClipFactor, SquareSums};
use crate::step::Scalars;

/// An optimiser, and what is done to gradients before it sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Optimiser {
    /// How parameters move.
    pub rule: AdamW,
    /// Largest global gradient norm; larger gradients are scaled down to it ([`ClipFactor`]).
    pub clip: Option<f64>,
}

impl Optimiser {
    /// The arenas that it keeps from step to step, beside the parameters: a checkpoint holds them, and they begin as zeros.
    pub fn arenas(&self) -> &'static [&'static str] {
        AdamW::ARENAS
    }

    /// Scalars of update `t` (from 1) at this learning rate.
    pub fn scalars(&self, rate: f64, t: u64) -> Scalars {
        self.rule.scalars(rate, t)
    }

    /// A program that updates these parameters, consecutive ones, from the gradients in the arena of [`GRADIENTS`].
    ///
    /// # Errors
    /// [`crate::Error::Graph`] where the parameters are not consecutive, or the clipping norm is no number above 0.
    pub fn update(&self, layout: &ParameterLayout, parameters: &[ParameterId]) -> Result<Graph> {
        self.update_of(layout, parameters, GRADIENTS)
    }

    /// The same from the gradients in another arena.
    ///
    /// # Errors
    /// As [`Optimiser::update`].
    pub fn update_of(
        &self,
        layout: &ParameterLayout,
        parameters: &[ParameterId],
        gradients: &'static str,
    ) -> Result<Graph> {
        let span = layout.span_of(parameters)?;
        let mut g = Graph::new(layout.clone());
        let gradients = g.arena(gradients, span.clone()); // [1, n]
        let factor = match self.clip {
            None => None,
            Some(max_norm) => {
                let sums = g.apply(SquareSums.into(), &[gradients])?; // [1, parts]
                Some(g.apply(ClipFactor { max_norm }.into(), &[sums])?) // [1, 1]
            }
        };
        self.rule.update(&mut g, span, gradients, factor)?;
        Ok(g)
    }
}

/// The arena that sums gradients of several batches.
pub const GRADIENT_SUM: &str = "gradients.sum";

/// A program that adds the gradients of these parameters, consecutive ones, to the arena of [`GRADIENT_SUM`], or where the scalar
/// [`KEEP`](crate::ops::KEEP) is 0 replaces those there.
///
/// # Errors
/// [`crate::Error::Graph`] where the parameters are not consecutive.
pub fn accumulate(layout: &ParameterLayout, parameters: &[ParameterId]) -> Result<Graph> {
    let span = layout.span_of(parameters)?;
    let mut g = Graph::new(layout.clone());
    let [sum, gradients] = [GRADIENT_SUM, GRADIENTS].map(|name| g.arena(name, span.clone()));
    g.update(Accumulate, &[sum, gradients])?;
    Ok(g)
}
