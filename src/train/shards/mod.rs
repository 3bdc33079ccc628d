//! Training steps whose batches are cut into shards, so that any number of ranks ends in the same bytes.
//!
//! A batch has as many shards as the configuration says, whoever computes them. The gradient of each is computed alone, counts with
//! its share of the batch's rows, and is added to those before it: in the order of the shards, wherever they come from, for sums of
//! floats depend on it. One rank adds them up on its device and updates all parameters there. Several have a run of shards each,
//! exchange slices of their gradients, of which each rank adds up and updates its own (`slices.rs`), and gather the parameters.
//!
//! What a model keeps as state (batch norm's running statistics, a beta that is moved) moves from the same place for every shard, and
//! the mean of where it gets is kept.
//!
//! The all-reduce that other trainers use (a ring or a tree, as MPI and NCCL choose) adds up in an order that depends on the number of
//! ranks, and their runs differ by it. Here a rank's shards are sent apart, which costs the more traffic the more shards a rank has.

mod slices;

use std::ops::{ControlFlow, Range};

use super::data_loader::DataLoader;
use crate::backend::{Device, ProgramId, Recorded, Session};
use crate::config::TrainConfig;
use crate::error::{Error, Result};
use crate::graph::{GRADIENTS, Graph, PARAMETERS, ParameterLayout};
use crate::models::{Batches, Gradients, Model, SHARD_WEIGHT};
use crate::ops::KEEP;
use crate::optim::{self, GRADIENT_SUM, Optimiser};
use crate::plan::Options;
use crate::ranks::Ranks;
use crate::step::Step;
use slices::Slices;

/// A step whose batch is cut into shards, before its programs are loaded.
#[derive(Debug)]
pub(super) struct Sharded {
    /// What the model's session runs, phase by phase.
    pub(super) graphs: Vec<Graph>,
    count: usize,
    rows: usize,
    optimiser: Optimiser,
    /// The parts of an arena that each phase updates, and how many values it records.
    phases: Vec<(Vec<Range<usize>>, usize)>,
    state: Vec<Range<usize>>,
    on_device: bool,
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
    gradients: ProgramId,
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
            let slices = ParameterLayout::slices(&layout.span_of(&parameters)?, config.shards);
            let columns = graph.metrics().len();
            graphs.push(graph);
            if on_device {
                graphs.push(optim::accumulate(layout, &parameters)?);
                graphs.push(optimiser.update_of(layout, &slices, GRADIENT_SUM)?);
            }
            phases.push((slices, columns));
        }
        let rows = config.batch_size / config.shards;
        Ok(Sharded { graphs, count: config.shards, rows, optimiser, phases, state, on_device })
    }

    /// The step whose graphs are loaded as these programs.
    ///
    /// # Errors
    /// What the device fails with.
    pub(super) fn load(
        self,
        programs: &[ProgramId],
        device: &dyn Device,
        ranks: &dyn Ranks,
        options: Options,
    ) -> Result<Shards> {
        let of_phase = programs.chunks(if self.on_device { 3 } else { 1 }).zip(&self.phases);
        let phase = |(programs, (_, columns)): (&[ProgramId], &(_, usize))| match *programs {
            [gradients, accumulate, update] => {
                Phase { gradients, columns: *columns, on_device: Some([accumulate, update]) }
            }
            _ => Phase { gradients: programs[0], columns: *columns, on_device: None },
        };
        let phases = of_phase.map(phase).collect();
        let slices = match self.on_device {
            true => None,
            false => {
                let of_phases: Vec<_> = self.phases.into_iter().map(|(slices, _)| slices).collect();
                Some(Slices::new(device, ranks, self.optimiser, &of_phases, options)?)
            }
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
            self.count * (of(phase.gradients) + accumulate) + update
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
            let recorded = session.run(&[self.phases[phase].gradients, accumulate], &steps)?;
            some.iter().zip(recorded.rows()).for_each(|(shard, row)| mean.add(row, shard.weight));
        }
        session.run(&[update], &[*step])?;
        Ok(mean.0)
    }

    /// The same among ranks, of which each computes the gradients of its run of shards, and updates its slices.
    fn among(
        &mut self,
        session: &mut dyn Session,
        ranks: &dyn Ranks,
        loader: &DataLoader<'_>,
        phase: usize,
        step: &Step,
    ) -> Result<Vec<f64>> {
        let shards = self.of(step);
        let Some(slices) = &mut self.slices else { unreachable!("without slices all is on one device") };
        let Phase { gradients: program, columns, .. } = self.phases[phase];
        let own = self.count / ranks.count();
        let held = |rank: usize| shards.len().saturating_sub(rank * own).min(own);
        let (mut gradients, mut rows, mut states) = (Vec::new(), Vec::new(), Vec::new());
        for shard in shards.iter().skip(ranks.rank() * own).take(own) {
            loader.upload(session, &[shard.step])?;
            let recorded = session.run(&[program], &[shard.step])?;
            rows.extend_from_slice(recorded.values());
            gradients.push(session.read_arena(GRADIENTS)?);
            if !self.state.is_empty() {
                let after = session.read_arena(PARAMETERS)?;
                self.state.iter().for_each(|range| states.extend_from_slice(&after[range.clone()]));
                session.write_arena(PARAMETERS, &slices.parameters)?;
            }
        }
        let sum = sum_of_slice(ranks, &gradients, slices.of_ranks(phase), held);
        if !self.state.is_empty() {
            let width: usize = self.state.iter().map(Range::len).sum();
            let parts: Vec<usize> = (0..ranks.count()).map(|rank| held(rank) * width).collect();
            let (mut mean, mut all) = (Mean::default(), vec![0.0; shards.len() * width]);
            ranks.gather(&states, &parts, &mut all);
            for (state, shard) in all.chunks(width).zip(&shards) {
                mean.add(&state.iter().copied().map(f64::from).collect::<Vec<_>>(), shard.weight);
            }
            let mut values = mean.0.into_iter();
            for range in &self.state {
                let state = slices.parameters[range.clone()].iter_mut();
                state.zip(values.by_ref()).for_each(|(to, value)| *to = value as f32);
            }
        }
        slices.update(ranks, phase, &sum, step)?;
        session.write_arena(PARAMETERS, &slices.parameters)?;
        let parts: Vec<usize> = (0..ranks.count()).map(|rank| held(rank) * columns).collect();
        let (all, mut mean) = (ranks.gather_numbers(&rows, &parts), Mean::default());
        shards.iter().zip(all.chunks(columns)).for_each(|(shard, row)| mean.add(row, shard.weight));
        Ok(mean.0)
    }
}

/// The sum of all ranks' gradients over this rank's part of an arena, in the order of the shards: `parts` is what each rank adds up, and
/// `held` how many shards it has.
fn sum_of_slice(
    ranks: &dyn Ranks,
    own: &[Vec<f32>],
    parts: &[Range<usize>],
    held: impl Fn(usize) -> usize,
) -> Vec<f32> {
    let mine = parts[ranks.rank()].len();
    let sent: Vec<usize> = parts.iter().map(|part| own.len() * part.len()).collect();
    let given: Vec<usize> = (0..ranks.count()).map(|rank| held(rank) * mine).collect();
    // To each rank its part of each of these gradients; those of one lie so already.
    let mut received = match own {
        [gradient] => ranks.exchange(&gradient[parts[0].start..parts[parts.len() - 1].end], &sent, &given),
        _ => {
            let mut values = Vec::with_capacity(sent.iter().sum());
            for part in parts {
                own.iter().for_each(|gradient| values.extend_from_slice(&gradient[part.clone()]));
            }
            ranks.exchange(&values, &sent, &given)
        }
    };
    let (sum, others) = received.split_at_mut(mine);
    for shard in others.chunks(mine.max(1)) {
        sum.iter_mut().zip(shard).for_each(|(sum, value)| *sum += value);
    }
    received.truncate(mine);
    received
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
