//! Training steps whose batches are cut into shards, so that any number of ranks ends in the same bytes.
//!
//! A batch has as many shards as the configuration says, whoever computes them. The gradient of each is computed alone, counts with
//! its share of the batch's rows, and is added to those before it: in the order of the shards, wherever they come from, for sums of
//! floats depend on it. One rank adds them up on its device. Several have a run of shards each, exchange slices of their gradients,
//! of which each rank adds up one, and gather the sums; all of them update all parameters.
//!
//! What a model keeps as state (batch norm's running statistics, a beta that is moved) moves from the same place for every shard, and
//! the mean of where it gets is kept.
//!
//! The all-reduce that other trainers use (a ring or a tree, as MPI and NCCL choose) adds up in an order that depends on the number of
//! ranks, and their runs differ by it. Here a rank's shards are sent apart, which costs the more traffic the more shards a rank has.

use std::ops::{ControlFlow, Range};

use super::data_loader::DataLoader;
use crate::backend::{ProgramId, Recorded, Session};
use crate::config::TrainConfig;
use crate::error::{Error, Result};
use crate::graph::{GRADIENTS, Graph, PARAMETERS, ParameterLayout};
use crate::models::{Batches, Model, SHARD_WEIGHT, ShardedPhase};
use crate::ops::KEEP;
use crate::optim::{GRADIENT_SUM, Optimiser};
use crate::ranks::Ranks;
use crate::step::Step;

/// The programs of a step.
#[derive(Clone, Debug)]
pub(super) struct Shards {
    count: usize,
    /// Rows of a shard.
    rows: usize,
    phases: Vec<Phase>,
    /// Elements of an arena.
    elements: usize,
    /// Those of them that are state.
    state: Vec<Range<usize>>,
}

#[derive(Clone, Debug)]
struct Phase {
    gradients: ProgramId,
    accumulate: ProgramId,
    update: ProgramId,
    of: Of,
}

/// What a phase is of.
#[derive(Clone, Debug)]
pub(super) struct Of {
    /// The elements of an arena that it updates.
    span: Range<usize>,
    /// Values that it records.
    columns: usize,
}

/// A shard of a batch, and its share of the rows.
#[derive(Clone, Copy, Debug)]
struct Shard {
    step: Step,
    weight: f64,
}

/// Programs of a phase.
const PROGRAMS: usize = 3;

impl Shards {
    /// The graphs of a step, of the batches of a shard.
    ///
    /// # Errors
    /// As [`Model::training`].
    pub(super) fn graphs(model: &Model, batches: &Batches, optimiser: &Optimiser) -> Result<(Vec<Graph>, Vec<Of>)> {
        let phases = model.sharded_training(batches, optimiser)?;
        let of = phases.iter().map(|phase| Of { span: phase.span.clone(), columns: phase.gradients.metrics().len() });
        let of = of.collect();
        let graphs = |ShardedPhase { gradients, accumulate, update, .. }| [gradients, accumulate, update];
        Ok((phases.into_iter().flat_map(graphs).collect(), of))
    }

    /// The step of those graphs, loaded as these programs.
    pub(super) fn new(config: &TrainConfig, layout: &ParameterLayout, programs: &[ProgramId], of: Vec<Of>) -> Shards {
        let phase = |(programs, of): (&[ProgramId], Of)| {
            let &[gradients, accumulate, update] = programs else { unreachable!("three programs a phase") };
            Phase { gradients, accumulate, update, of }
        };
        let state = layout.parameters().iter().filter(|parameter| !parameter.trained);
        Shards {
            count: config.shards,
            rows: config.batch_size / config.shards,
            phases: programs.chunks(PROGRAMS).zip(of).map(phase).collect(),
            elements: layout.len(),
            state: state.map(|parameter| parameter.offset..parameter.offset + parameter.shape.len()).collect(),
        }
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
        let of_phase = |phase: &Phase| self.count * (of(phase.gradients) + of(phase.accumulate)) + of(phase.update);
        self.phases.iter().map(of_phase).sum()
    }

    /// Runs the steps, one after another; `finished` gets each, with what it recorded: means over the batch.
    ///
    /// # Errors
    /// Where the device fails, or `finished` says so.
    pub(super) fn run(
        &self,
        session: &mut dyn Session,
        ranks: &dyn Ranks,
        loader: &DataLoader<'_>,
        steps: &[Step],
        mut finished: impl FnMut(&[Step], &Recorded) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        for step in steps {
            let mut row = Vec::new();
            for phase in &self.phases {
                let recorded = match ranks.count() {
                    1 if self.state.is_empty() => self.on_one_device(session, loader, phase, step)?,
                    _ => self.among(session, ranks, loader, phase, step)?,
                };
                row.extend(recorded);
                session.run(&[phase.update], &[*step])?;
            }
            if finished(&[*step], &Recorded::new(row.len(), row))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The sum of a phase's gradients, on the device from the first shard to the last; returns what the phase recorded.
    fn on_one_device(
        &self,
        session: &mut dyn Session,
        loader: &DataLoader<'_>,
        phase: &Phase,
        step: &Step,
    ) -> Result<Vec<f64>> {
        let mut all = Mean::default();
        let shards = self.of(step);
        for some in shards.chunks(loader.most_steps()) {
            let steps: Vec<Step> = some.iter().map(|shard| shard.step).collect();
            loader.upload(session, &steps)?;
            let recorded = session.run(&[phase.gradients, phase.accumulate], &steps)?;
            some.iter().zip(recorded.rows()).for_each(|(shard, row)| all.add(row, shard.weight));
        }
        Ok(all.0)
    }

    /// The same among ranks, of which each computes the gradients of its run of shards.
    fn among(
        &self,
        session: &mut dyn Session,
        ranks: &dyn Ranks,
        loader: &DataLoader<'_>,
        phase: &Phase,
        step: &Step,
    ) -> Result<Vec<f64>> {
        let shards = self.of(step);
        let own = self.count / ranks.count();
        let before = if self.state.is_empty() { Vec::new() } else { session.read_arena(PARAMETERS)? };
        let (mut gradients, mut rows, mut states) = (Vec::new(), Vec::new(), Vec::new());
        for shard in shards.iter().skip(ranks.rank() * own).take(own) {
            loader.upload(session, &[shard.step])?;
            let recorded = session.run(&[phase.gradients], &[shard.step])?;
            rows.push(recorded.values().to_vec());
            gradients.push(session.read_arena(GRADIENTS)?);
            if !self.state.is_empty() {
                let after = session.read_arena(PARAMETERS)?;
                states.push(self.state.iter().flat_map(|range| after[range.clone()].to_vec()).collect::<Vec<f32>>());
                session.write_arena(PARAMETERS, &before)?;
            }
        }
        let held = |rank: usize| shards.len().saturating_sub(rank * own).min(own);
        let sum = sum_of_slice(ranks, &gradients, phase.of.span.clone(), held);
        // A rank without a shard, of a short last batch, has none of its own.
        let mut arena = gradients.pop().unwrap_or_else(|| vec![0.0; self.elements]);
        let slices: Vec<usize> = (0..ranks.count()).map(|rank| slice(ranks, rank, &phase.of.span).len()).collect();
        ranks.gather(&sum, &slices, &mut arena[phase.of.span.clone()]);
        session.write_arena(GRADIENT_SUM, &arena)?;
        if !self.state.is_empty() {
            let width: usize = self.state.iter().map(Range::len).sum();
            let parts: Vec<usize> = (0..ranks.count()).map(|rank| held(rank) * width).collect();
            let mut mean = Mean::default();
            let mut all = vec![0.0; shards.len() * width];
            ranks.gather(&states.concat(), &parts, &mut all);
            for (state, shard) in all.chunks(width).zip(&shards) {
                mean.add(&state.iter().copied().map(f64::from).collect::<Vec<_>>(), shard.weight);
            }
            let (mut arena, mut values) = (before, mean.0.into_iter());
            for range in &self.state {
                arena[range.clone()].iter_mut().zip(values.by_ref()).for_each(|(to, value)| *to = value as f32);
            }
            session.write_arena(PARAMETERS, &arena)?;
        }
        let columns = phase.of.columns;
        let mut numbers = rows.concat();
        numbers.resize(own * columns, 0.0);
        let all = ranks.gather_numbers(&numbers);
        let mut mean = Mean::default();
        for (at, shard) in shards.iter().enumerate() {
            let place = (at / own * own + at % own) * columns;
            mean.add(&all[place..place + columns], shard.weight);
        }
        Ok(mean.0)
    }
}

/// The slice of a span whose gradients a rank adds up.
fn slice(ranks: &dyn Ranks, rank: usize, span: &Range<usize>) -> Range<usize> {
    let at = |rank: usize| span.start + span.len() * rank / ranks.count();
    at(rank)..at(rank + 1)
}

/// The sum of all ranks' gradients over this rank's slice of a span, in the order of the shards: `held` is how many a rank has.
fn sum_of_slice(ranks: &dyn Ranks, own: &[Vec<f32>], span: Range<usize>, held: impl Fn(usize) -> usize) -> Vec<f32> {
    let count = ranks.count();
    let slice = |rank: usize| slice(ranks, rank, &span);
    let mine = slice(ranks.rank()).len();
    let parts: Vec<usize> = (0..count).map(|rank| own.len() * slice(rank).len()).collect();
    let given: Vec<usize> = (0..count).map(|rank| held(rank) * mine).collect();
    // To each rank its slice of each of these gradients; those of one lie so already.
    let mut received = match own {
        [gradient] => ranks.exchange(&gradient[span.clone()], &parts, &given),
        _ => {
            let mut values = Vec::with_capacity(own.len() * span.len());
            (0..count)
                .for_each(|rank| own.iter().for_each(|gradient| values.extend_from_slice(&gradient[slice(rank)])));
            ranks.exchange(&values, &parts, &given)
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
pub(super) fn check(config: &TrainConfig, ranks: &dyn Ranks) -> Result<()> {
    let (shards, count) = (config.shards, ranks.count());
    if shards.is_multiple_of(count) {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "--shards is {shards}: {count} ranks must divide it, so that each has as many; --shards {} would do",
        shards.next_multiple_of(count)
    )))
}
