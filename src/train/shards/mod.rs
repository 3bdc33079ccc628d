//! Training steps whose batches are cut into shards, so that any number of ranks ends in the same bytes.
//!
//! A batch has as many shards as the configuration says, whoever computes them. The gradient of each is computed alone, counts with
//! its share of the batch's rows, and is added to those before it: in the order of the shards, wherever they come from, for sums of
//! floats depend on it. One rank adds them up on its device and updates all parameters there. Several have a run of shards each,
//! exchange slices of their gradients (`exchange.rs`), of which each rank adds up and updates its own (`slices.rs`), and gather the
//! parameters.
//!
//! What a model keeps as state (batch norm's running statistics, a beta that is moved) moves from the same place for every shard, and
//! the mean of where it gets is kept.
//!
//! The all-reduce that other trainers use (a ring or a tree, as MPI and NCCL choose) adds up in an order that depends on the number of
//! ranks, and their runs differ by it. Here a rank's shards are sent apart, which costs the more traffic the more shards a rank has.

mod exchange;
mod parts;
mod slices;

use std::ops::{ControlFlow, Range};

use super::data_loader::DataLoader;
use crate::backend::{Device, ProgramId, Recorded, Session};
use crate::config::TrainConfig;
use crate::error::{Error, Result};
use crate::graph::{Graph, ParameterLayout};
use crate::models::{Batches, Gradients, Model, SHARD_WEIGHT};
use crate::ops::KEEP;
use crate::optim::{self, GRADIENT_SUM, Optimiser};
use crate::plan::{Options, Plan};
use crate::ranks::Ranks;
use crate::step::Step;
use parts::Cuts;
use slices::Slices;

/// A step whose batch is cut into shards, before its programs are loaded.
#[derive(Debug)]
pub(super) struct Sharded {
    /// What the model's session runs, phase by phase.
    pub(super) graphs: Vec<Graph>,
    count: usize,
    rows: usize,
    optimiser: Optimiser,
    phases: Vec<Planned>,
    state: Vec<Range<usize>>,
    on_device: bool,
}

/// A phase before its programs are loaded.
#[derive(Debug)]
struct Planned {
    /// Sections of the parameters that it updates, as slices.
    sections: Vec<Vec<Range<usize>>>,
    /// Values that it records.
    columns: usize,
    cuts: Cuts,
}

/// The programs of a step.
pub(super) struct Shards {
    count: usize,
    /// Rows of a shard.
    rows: usize,
    phases: Vec<Phase>,
    /// The elements of an arena that are state.
    state: Vec<Range<usize>>,
    /// Where parameters are updated; none where that is on the device that computes all gradients.
    slices: Option<Slices>,
}

#[derive(Debug)]
struct Phase {
    /// What computes the gradients: programs for one section after another, where parameters are updated in sections.
    gradients: Vec<(usize, Vec<ProgramId>)>,
    /// Values that it records.
    columns: usize,
    /// What adds a shard's gradients to those before it, and what updates by the sum, where one device does all.
    on_device: Option<[ProgramId; 2]>,
}

/// A shard of a batch, and its share of the rows.
#[derive(Clone, Copy, Debug)]
struct Shard {
    step: Step,
    weight: f64,
}

impl Sharded {
    /// A step of a model among ranks, of the batches of a shard.
    ///
    /// # Errors
    /// [`Error::Usage`] where ranks can't divide the shards; as [`Model::training`].
    pub(super) fn new(
        config: &TrainConfig,
        model: &Model,
        batches: &Batches,
        optimiser: Optimiser,
        ranks: &dyn Ranks,
    ) -> Result<Sharded> {
        check(config, ranks)?;
        let layout = model.layout();
        let state = layout.parameters().iter().filter(|parameter| !parameter.trained);
        let state: Vec<_> = state.map(|parameter| parameter.offset..parameter.offset + parameter.shape.len()).collect();
        let on_device = ranks.count() == 1 && state.is_empty();
        let (mut graphs, mut phases) = (Vec::new(), Vec::new());
        for Gradients { graph, parameters } in model.sharded_gradients(batches)? {
            let halves = layout.halves(&layout.span_of(&parameters)?).into_iter().filter(|half| !half.is_empty());
            let sections: Vec<_> = halves.map(|half| ParameterLayout::slices(&half, config.shards)).collect();
            let columns = graph.metrics().len();
            graphs.push(graph);
            if on_device {
                graphs.push(optim::accumulate(layout, &parameters)?);
                graphs.push(optimiser.update_of(layout, &sections.concat(), GRADIENT_SUM)?);
            }
            phases.push(Planned { sections, columns, cuts: Cuts::default() });
        }
        let rows = config.batch_size / config.shards;
        Ok(Sharded { graphs, count: config.shards, rows, optimiser, phases, state, on_device })
    }

    /// Looks when the plans of its graphs have done the gradients of each section.
    pub(super) fn look(&mut self, plans: &[Plan]) {
        let programs = self.programs();
        for (phase, plans) in self.phases.iter_mut().zip(plans.chunks(programs)) {
            phase.cuts = Cuts::of(&plans[0], &phase.sections);
        }
    }

    /// Programs of a phase.
    fn programs(&self) -> usize {
        if self.on_device { 3 } else { 1 }
    }

    /// The step whose graphs are loaded as these programs of a session.
    ///
    /// # Errors
    /// What the device fails with.
    pub(super) fn load(
        self,
        session: &mut dyn Session,
        programs: &[ProgramId],
        device: &dyn Device,
        ranks: &dyn Ranks,
        options: Options,
    ) -> Result<Shards> {
        let mut phases = Vec::new();
        for (programs, phase) in programs.chunks(self.programs()).zip(&self.phases) {
            let (gradients, on_device) = match *programs {
                [gradients, accumulate, update] => (vec![(0, vec![gradients])], Some([accumulate, update])),
                _ => (phase.cuts.split(session, programs[0])?, None),
            };
            phases.push(Phase { gradients, columns: phase.columns, on_device });
        }
        let sections: Vec<_> = self.phases.into_iter().map(|phase| phase.sections).collect();
        let slices = match self.on_device {
            true => None,
            false => Some(Slices::new(device, ranks, self.optimiser, &sections, options)?),
        };
        Ok(Shards { count: self.count, rows: self.rows, phases, state: self.state, slices })
    }
}

impl Shards {
    /// Where parameters are updated, if not by the model's session.
    pub(super) fn slices(&mut self) -> Option<&mut Slices> {
        self.slices.as_mut()
    }

    /// The shards of a step: fewer where the last batch is short.
    fn of(&self, step: &Step) -> Vec<Shard> {
        let rows = self.rows as u32;
        let shard = |at: u32| {
            let rows = rows.min(step.rows - at * rows);
            let weight = f64::from(rows) / f64::from(step.rows);
            let keep = if at == 0 { 0.0 } else { 1.0 };
            let scalars = step.scalars.with(SHARD_WEIGHT, weight).with(KEEP, keep);
            Shard { step: Step { first: step.first + at * self.rows as u32, rows, scalars, ..*step }, weight }
        };
        (0..step.rows.div_ceil(rows)).map(shard).collect()
    }

    /// Dispatches of a step.
    pub(super) fn dispatches(&self, session: &dyn Session) -> usize {
        let of = |program: ProgramId| session.dispatches(program);
        let of_phase = |phase: &Phase| {
            let [accumulate, update] = phase.on_device.map_or([0, 0], |programs| programs.map(of));
            let gradients = phase.gradients.iter().flat_map(|(_, programs)| programs);
            self.count * (gradients.map(|&program| of(program)).sum::<usize>() + accumulate) + update
        };
        self.phases.iter().map(of_phase).sum::<usize>() + self.slices.as_ref().map_or(0, Slices::dispatches)
    }

    /// Runs the steps, one after another; `finished` gets each, with what it recorded: means over the batch.
    ///
    /// # Errors
    /// Where the device fails, or `finished` says so.
    pub(super) fn run(
        &mut self,
        session: &mut dyn Session,
        ranks: &dyn Ranks,
        loader: &DataLoader<'_>,
        steps: &[Step],
        mut finished: impl FnMut(&[Step], &Recorded) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        for step in steps {
            let mut row = Vec::new();
            for phase in 0..self.phases.len() {
                row.extend(match self.phases[phase].on_device {
                    Some(programs) => self.on_device(session, loader, phase, programs, step)?,
                    None => self.among(session, ranks, loader, phase, step)?,
                });
            }
            if finished(&[*step], &Recorded::new(row.len(), row))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// A phase of a step, all of it on one device; returns what it recorded.
    fn on_device(
        &self,
        session: &mut dyn Session,
        loader: &DataLoader<'_>,
        phase: usize,
        [accumulate, update]: [ProgramId; 2],
        step: &Step,
    ) -> Result<Vec<f64>> {
        let mut mean = Mean::default();
        let shards = self.of(step);
        for some in shards.chunks(loader.most_steps()) {
            let steps: Vec<Step> = some.iter().map(|shard| shard.step).collect();
            loader.upload(session, &steps)?;
            let recorded = session.run(&[self.phases[phase].gradients[0].1[0], accumulate], &steps)?;
            some.iter().zip(recorded.rows()).for_each(|(shard, row)| mean.add(row, shard.weight));
        }
        session.run(&[update], &[*step])?;
        Ok(mean.0)
    }
}

/// A weighted sum of rows, in their order.
#[derive(Debug, Default)]
struct Mean(Vec<f64>);

impl Mean {
    fn add(&mut self, row: &[f64], weight: f64) {
        self.0.resize(row.len(), 0.0);
        self.0.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
    }
}

/// Checks that ranks can divide a configuration's shards among them.
///
/// # Errors
/// [`Error::Usage`] where they can't.
fn check(config: &TrainConfig, ranks: &dyn Ranks) -> Result<()> {
    let (shards, count) = (config.shards, ranks.count());
    if shards.is_multiple_of(count) {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "--shards is {shards}: {count} ranks must divide it, so that each has as many; --shards {} would do",
        shards.next_multiple_of(count)
    )))
}
