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
use crate::graph::{GRADIENTS, Graph, NodeId, ParameterId, ParameterLayout};
use crate::ops::{Accumulate, ClipFactor, Concat, SquareSums};
use crate::step::Scalars;
use crate::tensor::Shape;
use std::ops::Range;

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
        self.update_of(layout, &[layout.span_of(parameters)?], GRADIENTS)
    }

    /// The same of slices of an arena that follow each other, from the gradients in another arena. Their norm is that of the sums of
    /// squares of each slice, so that it does not matter where these are computed.
    ///
    /// # Errors
    /// As [`Optimiser::update`].
    pub fn update_of(
        &self,
        layout: &ParameterLayout,
        slices: &[Range<usize>],
        gradients: &'static str,
    ) -> Result<Graph> {
        let mut g = Graph::new(layout.clone());
        let sums = self.sum_squares(&mut g, slices, gradients)?;
        self.scaled_update(g, slices, gradients, sums)
    }

    /// The sums of squares of each slice's gradients, the output [`SQUARE_SUMS`], `[1, sums]`; none where gradients are not clipped, or
    /// there are none.
    ///
    /// # Errors
    /// None for slices of the layout.
    pub fn square_sums(
        &self,
        layout: &ParameterLayout,
        slices: &[Range<usize>],
        gradients: &'static str,
    ) -> Result<Option<Graph>> {
        let mut g = Graph::new(layout.clone());
        let Some(sums) = self.sum_squares(&mut g, slices, gradients)? else { return Ok(None) };
        g.output(SQUARE_SUMS, sums);
        Ok(Some(g))
    }

    /// [`Optimiser::update_of`] of some of many slices: where gradients are clipped, all slices' sums of squares are the input
    /// [`SQUARE_SUMS`], `[1, sums]`.
    ///
    /// # Errors
    /// As [`Optimiser::update`].
    pub fn update_by(
        &self,
        layout: &ParameterLayout,
        slices: &[Range<usize>],
        gradients: &'static str,
        sums: usize,
    ) -> Result<Graph> {
        let mut g = Graph::new(layout.clone());
        let sums = self.clip.map(|_| g.input(SQUARE_SUMS, Shape::new(1, sums)));
        self.scaled_update(g, slices, gradients, sums)
    }

    /// The update by gradients that are scaled where their norm, that of these sums of squares, is too large.
    fn scaled_update(
        &self,
        mut g: Graph,
        slices: &[Range<usize>],
        gradients: &'static str,
        sums: Option<NodeId>,
    ) -> Result<Graph> {
        let span = slices.first().map_or(0, |slice| slice.start)..slices.last().map_or(0, |slice| slice.end);
        let gradients = g.arena(gradients, span.clone()); // [1, n]
        let factor = match (self.clip, sums) {
            (Some(max_norm), Some(sums)) => Some(g.apply(ClipFactor { max_norm }.into(), &[sums])?), // [1, 1]
            _ => None,
        };
        self.rule.update(&mut g, span, gradients, factor)?;
        Ok(g)
    }

    /// The sums of squares of each slice's gradients, `[1, sums]`; none where gradients are not clipped, or all slices are empty.
    fn sum_squares(&self, g: &mut Graph, slices: &[Range<usize>], gradients: &'static str) -> Result<Option<NodeId>> {
        let mut all = None;
        for slice in slices.iter().filter(|slice| self.clip.is_some() && !slice.is_empty()) {
            let gradients = g.arena(gradients, slice.clone()); // [1, n]
            let sums = g.apply(SquareSums.into(), &[gradients])?; // [1, parts]
            all = Some(match all {
                None => sums,
                Some(before) => g.apply(Concat.into(), &[before, sums])?,
            });
        }
        Ok(all)
    }
}

/// The output or input that has sums of squares of gradients.
pub const SQUARE_SUMS: &str = "square_sums";

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
