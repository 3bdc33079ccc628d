//! Updates that ranks divide among them.
//!
//! An arena is cut into as many slices as a batch has shards, and each rank has a run of them. It updates their parameters in a session
//! of its own, which holds the gradients and what the optimiser keeps of these alone (the first stage of ZeRO, Rajbhandari et al. 2020),
//! and all gather the parameters. Norms of gradients are of each slice's sums of squares, whoever has it.

use std::ops::Range;

use crate::backend::{Device, ProgramId, Session};
use crate::error::Result;
use crate::graph::{Init, PARAMETERS, ParameterLayout};
use crate::ops::SquareSums;
use crate::optim::{GRADIENT_SUM, Optimiser, SQUARE_SUMS};
use crate::plan::{Options, compile};
use crate::ranks::Ranks;
use crate::step::Step;
use crate::tensor::Shape;

/// A rank's slices, and the parameters of the model, as all ranks have them.
pub(in crate::train) struct Slices {
    session: Box<dyn Session>,
    optimiser: Optimiser,
    /// Elements of its arenas.
    len: usize,
    phases: Vec<Phase>,
    /// The model's arena.
    pub(super) parameters: Vec<f32>,
}

/// The slices of the parameters that a phase updates.
#[derive(Debug)]
struct Phase {
    span: Range<usize>,
    /// What each rank has of the model's arenas.
    ranks: Vec<Range<usize>>,
    /// Where this rank's lie in its own.
    own: Range<usize>,
    /// Sums of squares of each rank.
    sums: Vec<usize>,
    square_sums: Option<ProgramId>,
    update: Option<ProgramId>,
}

/// A rank's run of slices.
fn run(slices: &[Range<usize>], rank: usize, ranks: usize) -> &[Range<usize>] {
    let each = slices.len() / ranks;
    &slices[rank * each..(rank + 1) * each]
}

/// The elements of slices that follow each other.
fn elements(slices: &[Range<usize>]) -> Range<usize> {
    slices[0].start..slices[slices.len() - 1].end
}

/// How long each is.
fn lengths(ranges: &[Range<usize>]) -> Vec<usize> {
    ranges.iter().map(Range::len).collect()
}

impl Slices {
    /// The slices of a rank, of arenas of so many elements, in whose spans each phase has these slices.
    ///
    /// # Errors
    /// What the device fails with.
    pub(super) fn new(
        device: &dyn Device,
        ranks: &dyn Ranks,
        optimiser: Optimiser,
        phases: &[Vec<Range<usize>>],
        options: Options,
    ) -> Result<Slices> {
        let (rank, count) = (ranks.rank(), ranks.count());
        let mut layout = ParameterLayout::default();
        let mut own = Vec::new();
        for slices in phases {
            let (start, range) = (layout.len(), elements(run(slices, rank, count)));
            if !range.is_empty() {
                layout.declare(format!("slice.{}", own.len()), Shape::new(1, range.len()), Init::Zero);
            }
            // Where its slices lie in the arenas here.
            own.push((start, start..layout.len(), range.start));
        }
        let mut session = device.session(&layout, &[])?;
        let mut all = Vec::new();
        for (slices, (start, own, first)) in phases.iter().zip(own) {
            let of_rank = |rank: usize| run(slices, rank, count);
            let sums_of = |slice: &Range<usize>| SquareSums::parts(slice.len());
            let sums: Vec<usize> = (0..count).map(|rank| of_rank(rank).iter().map(sums_of).sum()).collect();
            let here: Vec<Range<usize>> =
                of_rank(rank).iter().map(|slice| start + slice.start - first..start + slice.end - first).collect();
            let (mut square_sums, mut update) = (None, None);
            if !own.is_empty() {
                let graph = optimiser.square_sums(&layout, &here, GRADIENT_SUM)?;
                square_sums = graph.map(|graph| session.load(compile(&graph, options)?)).transpose()?;
                let graph = optimiser.update_by(&layout, &here, GRADIENT_SUM, sums.iter().sum())?;
                update = Some(session.load(compile(&graph, options)?)?);
            }
            let ranks = (0..count).map(|rank| elements(of_rank(rank))).collect();
            all.push(Phase { span: elements(slices), ranks, own, sums, square_sums, update });
        }
        Ok(Slices { session, optimiser, len: layout.len(), phases: all, parameters: Vec::new() })
    }

    /// What each rank has of a phase's part of the model's arenas.
    pub(super) fn of_ranks(&self, phase: usize) -> &[Range<usize>] {
        &self.phases[phase].ranks
    }

    /// Dispatches of a step.
    pub(super) fn dispatches(&self) -> usize {
        let programs = self.phases.iter().flat_map(|phase| phase.square_sums.into_iter().chain(phase.update));
        programs.map(|program| self.session.dispatches(program)).sum()
    }

    /// Begins with these parameters and what the optimiser keeps of them, arenas of the model; nothing of these leaves it as it is.
    ///
    /// # Errors
    /// What the device fails with.
    pub(in crate::train) fn begin(
        &mut self,
        ranks: &dyn Ranks,
        parameters: &[f32],
        optimiser: &[Vec<f32>],
    ) -> Result<()> {
        self.parameters = parameters.to_vec();
        if self.len == 0 {
            return Ok(());
        }
        let phases = &self.phases;
        let here = |arena: &[f32]| -> Vec<f32> {
            phases.iter().flat_map(|phase| &arena[phase.ranks[ranks.rank()].clone()]).copied().collect()
        };
        self.session.write_arena(PARAMETERS, &here(parameters))?;
        let names = self.optimiser.arenas().iter().zip(optimiser);
        names.into_iter().try_for_each(|(name, arena)| self.session.write_arena(name, &here(arena)))
    }

    /// Updates the parameters of a phase by the sums of this rank's gradients, and gathers those of all.
    ///
    /// # Errors
    /// What the device fails with.
    pub(super) fn update(&mut self, ranks: &dyn Ranks, phase: usize, sum: &[f32], step: &Step) -> Result<()> {
        let Phase { span, ranks: ranges, own, sums, square_sums, update } = &self.phases[phase];
        let session = &mut *self.session;
        if !own.is_empty() {
            let mut gradients = vec![0.0; self.len];
            gradients[own.clone()].copy_from_slice(sum);
            session.write_arena(GRADIENT_SUM, &gradients)?;
        }
        if self.optimiser.clip.is_some() {
            let mut own = Vec::new();
            if let Some(program) = square_sums {
                session.run(&[*program], &[*step])?;
                own = session.read_output(*program, SQUARE_SUMS)?;
            }
            let mut all = vec![0.0; sums.iter().sum()];
            ranks.gather(&own, sums, &mut all);
            if let Some(update) = update {
                session.write_input(*update, SQUARE_SUMS, &all)?;
            }
        }
        let mut updated = Vec::new();
        if let Some(update) = update {
            session.run(&[*update], &[*step])?;
            updated = session.read_arena(PARAMETERS)?;
        }
        ranks.gather(&updated[own.clone()], &lengths(ranges), &mut self.parameters[span.clone()]);
        Ok(())
    }

    /// What the optimiser keeps of all parameters, as arenas of the model, gathered.
    ///
    /// # Errors
    /// What the device fails with.
    pub(in crate::train) fn optimiser(&mut self, ranks: &dyn Ranks) -> Result<Vec<Vec<f32>>> {
        let mut arenas = Vec::new();
        for name in self.optimiser.arenas() {
            let own = if self.len == 0 { Vec::new() } else { self.session.read_arena(name)? };
            let mut all = vec![0.0; self.parameters.len()];
            for phase in &self.phases {
                ranks.gather(&own[phase.own.clone()], &lengths(&phase.ranks), &mut all[phase.span.clone()]);
            }
            arenas.push(all);
        }
        Ok(arenas)
    }
}
