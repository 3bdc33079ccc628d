//! Updates that ranks divide among them.
//!
//! The parameters of a phase lie in two sections, so that the gradients of one can travel while those of the other are computed. A section
//! is cut into as many slices as a batch has shards, and each rank has a run of them. It updates their parameters in a session of its
//! own, which holds the gradients and what the optimiser keeps of these alone (the first stage of ZeRO, Rajbhandari et al. 2020), and all
//! gather the parameters. Norms of gradients are of each slice's sums of squares, whoever has it.

use std::ops::Range;

use crate::backend::{Device, ProgramId, Session};
use crate::error::Result;
use crate::graph::{Init, PARAMETERS, ParameterLayout};
use crate::ops::SquareSums;
use crate::optim::{GRADIENT_SUM, Optimiser, SQUARE_SUMS};
use crate::plan::{Options, compile};
use crate::ranks::{Ranks, share};
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

#[derive(Debug)]
struct Phase {
    sections: Vec<Section>,
    square_sums: Option<ProgramId>,
    update: Option<ProgramId>,
}

/// Parameters that follow each other.
#[derive(Debug)]
pub(super) struct Section {
    /// Their elements of the model's arenas.
    pub(super) span: Range<usize>,
    /// Those of each rank.
    pub(super) ranks: Vec<Range<usize>>,
    /// Where this rank's lie in its own arenas.
    own: Range<usize>,
    /// This rank's slices there.
    slices: Vec<Range<usize>>,
    /// Sums of squares of each rank.
    sums: Vec<usize>,
}

impl Section {
    /// The section of these slices; this rank's lie behind `start` elements of its arenas.
    fn new(all: &[Range<usize>], ranks: &dyn Ranks, start: usize) -> Section {
        let of_rank = |rank: usize| &all[share(rank, ranks.count(), all.len())];
        let elements = |slices: &[Range<usize>]| slices[0].start..slices[slices.len() - 1].end;
        let mine = of_rank(ranks.rank());
        let (first, len) = (mine[0].start, elements(mine).len());
        let sums_of = |rank: usize| of_rank(rank).iter().map(|slice| SquareSums::parts(slice.len())).sum();
        Section {
            span: elements(all),
            ranks: (0..ranks.count()).map(|rank| elements(of_rank(rank))).collect(),
            own: start..start + len,
            slices: mine.iter().map(|slice| start + slice.start - first..start + slice.end - first).collect(),
            sums: (0..ranks.count()).map(sums_of).collect(),
        }
    }

    /// How many elements each rank has.
    fn lengths(&self) -> Vec<usize> {
        self.ranks.iter().map(Range::len).collect()
    }
}

impl Slices {
    /// The slices of a rank; each phase has sections, which are given as slices of all ranks.
    ///
    /// # Errors
    /// What the device fails with.
    pub(super) fn new(
        device: &dyn Device,
        ranks: &dyn Ranks,
        optimiser: Optimiser,
        phases: &[Vec<Vec<Range<usize>>>],
        options: Options,
    ) -> Result<Slices> {
        let mut layout = ParameterLayout::default();
        let mut sections = Vec::new();
        for slices in phases {
            let mut of_phase = Vec::new();
            for slices in slices {
                let section = Section::new(slices, ranks, layout.len());
                if !section.own.is_empty() {
                    layout.declare(section.own.start.to_string(), Shape::new(1, section.own.len()), Init::Zero);
                }
                of_phase.push(section);
            }
            sections.push(of_phase);
        }
        let mut session = device.session(&layout, &[])?;
        let phase = |sections: Vec<Section>| {
            let slices: Vec<Range<usize>> = sections.iter().flat_map(|section| section.slices.clone()).collect();
            let (mut square_sums, mut update) = (None, None);
            if sections.iter().any(|section| !section.own.is_empty()) {
                let graph = optimiser.square_sums(&layout, &slices, GRADIENT_SUM)?;
                square_sums = graph.map(|graph| session.load(compile(&graph, options)?)).transpose()?;
                let sums = sections.iter().flat_map(|section| &section.sums).sum();
                let graph = optimiser.update_by(&layout, &slices, GRADIENT_SUM, sums)?;
                update = Some(session.load(compile(&graph, options)?)?);
            }
            Ok(Phase { sections, square_sums, update })
        };
        let phases = sections.into_iter().map(phase).collect::<Result<_>>()?;
        Ok(Slices { session, optimiser, len: layout.len(), phases, parameters: Vec::new() })
    }

    /// The sections of a phase.
    pub(super) fn sections(&self, phase: usize) -> &[Section] {
        &self.phases[phase].sections
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
        let sections: Vec<_> = self.phases.iter().flat_map(|phase| &phase.sections).collect();
        let here = |arena: &[f32]| -> Vec<f32> {
            sections.iter().flat_map(|section| &arena[section.ranks[ranks.rank()].clone()]).copied().collect()
        };
        self.session.write_arena(PARAMETERS, &here(parameters))?;
        let mut arenas = self.optimiser.arenas().iter().zip(optimiser);
        arenas.try_for_each(|(name, arena)| self.session.write_arena(name, &here(arena)))
    }

    /// Updates the parameters of a phase by the sums of this rank's gradients, one for each section, and gathers those of all.
    ///
    /// # Errors
    /// What the device fails with.
    pub(super) fn update(&mut self, ranks: &dyn Ranks, phase: usize, sums: &[Vec<f32>], step: &Step) -> Result<()> {
        let Phase { sections, square_sums, update } = &self.phases[phase];
        let session = &mut *self.session;
        if update.is_some() {
            let mut gradients = vec![0.0; self.len];
            sections.iter().zip(sums).for_each(|(section, sum)| gradients[section.own.clone()].copy_from_slice(sum));
            session.write_arena(GRADIENT_SUM, &gradients)?;
        }
        if self.optimiser.clip.is_some() {
            let mut own = match square_sums {
                Some(program) => {
                    session.run(&[*program], &[*step])?;
                    session.read_output(*program, SQUARE_SUMS)?
                }
                None => Vec::new(),
            };
            let mut all = Vec::new();
            for Section { sums, .. } in sections {
                let others = own.split_off(sums[ranks.rank()]);
                let start = all.len();
                all.resize(start + sums.iter().sum::<usize>(), 0.0);
                ranks.gather(&own, sums, &mut all[start..]);
                own = others;
            }
            if let Some(update) = update {
                session.write_input(*update, SQUARE_SUMS, &all)?;
            }
        }
        let mut updated = Vec::new();
        if let Some(update) = update {
            session.run(&[*update], &[*step])?;
            updated = session.read_arena(PARAMETERS)?;
        }
        for section in sections {
            let all = &mut self.parameters[section.span.clone()];
            let own = updated.get(section.own.clone()).unwrap_or_default();
            ranks.gather(own, &section.lengths(), all);
        }
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
            for section in self.phases.iter().flat_map(|phase| &phase.sections) {
                ranks.gather(&own[section.own.clone()], &section.lengths(), &mut all[section.span.clone()]);
            }
            arenas.push(all);
        }
        Ok(arenas)
    }
}
