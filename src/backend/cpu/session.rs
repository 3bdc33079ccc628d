//! A model on the CPU: its arenas, data sets and programs, and their steps.

use super::super::*;
use crate::compute::{AlignedVec, keep_spinning};
use crate::graph::PARAMETERS;
use crate::ops::{Effect, Real, View};
use crate::plan::{BufferId, Dispatch, Pool};
use smallvec::SmallVec;
use std::time::Instant;

/// As many as a dispatch has inputs or outputs, without a list in memory.
type Few<X> = SmallVec<[X; 8]>;

/// A model on the CPU.
#[derive(Debug)]
pub struct CpuSession<T> {
    layout: ParameterLayout,
    arenas: Vec<(&'static str, AlignedVec<T>)>,
    data: Vec<Held<T>>,
    /// Local buffers of all programs.
    locals: Vec<AlignedVec<T>>,
    /// Those that programs share, and where each of them is.
    pool: Pool,
    pooled: Vec<usize>,
    programs: Vec<Program<T>>,
    counters: Counters,
}

/// A resident data set: `bytes` of U8, `reals` of all others.
#[derive(Debug)]
struct Held<T> {
    kind: (Shape, DType),
    bytes: Vec<u8>,
    reals: Vec<T>,
}

impl<T: Real> Held<T> {
    fn new(data: &Data<'_>) -> Held<T> {
        let Data { shape, values } = data;
        Held { kind: (*shape, values.dtype()), bytes: values.bytes().to_vec(), reals: values.reals() }
    }
}

#[derive(Debug, Default)]
struct Program<T> {
    /// Its local buffers are those of the session.
    plan: Plan,
    metrics: AlignedVec<T>,
}

impl<T: Real> CpuSession<T> {
    /// An arena of parameters of this layout, all zero, and these data sets.
    pub fn new(layout: &ParameterLayout, data: &[Data<'_>]) -> CpuSession<T> {
        CpuSession {
            layout: layout.clone(),
            arenas: vec![(PARAMETERS, AlignedVec::new(layout.len(), T::zero()))],
            data: data.iter().map(Held::new).collect(),
            locals: Vec::new(),
            pool: Pool::default(),
            pooled: Vec::new(),
            programs: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// An arena's values, in full precision.
    ///
    /// # Errors
    /// Where no program has an arena of this name.
    pub fn arena(&self, name: &str) -> Result<&[T]> {
        named(self.arenas.iter().map(|(name, values)| (*name, &values[..])), name)
    }

    /// A program's output, in full precision.
    pub fn output(&self, program: ProgramId, name: &str) -> Result<&[T]> {
        let view = named(ports(&self.programs[program.0].plan.outputs), name)?;
        Ok(&self.buffer(view.buffer)[view.first()..][..view.shape.len()])
    }

    /// A program's input, to be written in full precision.
    pub fn input_mut(&mut self, program: ProgramId, name: &str) -> Result<&mut [T]> {
        let view = named(ports(&self.programs[program.0].plan.inputs), name)?;
        let BufferId::Local(local) = view.buffer else { unreachable!("inputs are local") };
        Ok(&mut self.locals[local][..view.shape.len()])
    }

    fn buffer(&self, id: BufferId) -> &[T] {
        match id {
            BufferId::Arena(name) => {
                &self.arenas.iter().find(|(known, _)| *known == name).expect("a loaded plan's arenas are there").1
            }
            BufferId::Metrics => unreachable!("metrics are not read on the way"),
            BufferId::Local(local) => &self.locals[local],
            BufferId::Dataset(index) => &self.data[index].reals,
        }
    }

    fn buffer_mut<'a>(&'a mut self, program: &'a mut Program<T>, id: BufferId) -> &'a mut AlignedVec<T> {
        match id {
            BufferId::Arena(name) => {
                let mut arenas = self.arenas.iter_mut();
                &mut arenas.find(|(known, _)| *known == name).expect("a loaded plan's arenas are there").1
            }
            BufferId::Metrics => &mut program.metrics,
            BufferId::Local(local) => &mut self.locals[local],
            BufferId::Dataset(_) => unreachable!("data sets are read only"),
        }
    }

    /// Runs a step; `done` hears of each dispatch, by its position in the plan, when it is done.
    fn step(&mut self, program: &mut Program<T>, step: &Step, mut done: impl FnMut(usize)) {
        let dispatches = std::mem::take(&mut program.plan.dispatches);
        for (at, dispatch) in dispatches.iter().enumerate() {
            // The plan never lets an output share a buffer with an input, so taking outputs' buffers out is safe.
            let mut taken: Few<(BufferId, AlignedVec<T>)> = Few::new();
            for output in &dispatch.outputs {
                if taken.iter().all(|(place, _)| *place != output.buffer) {
                    taken.push((output.buffer, std::mem::take(self.buffer_mut(program, output.buffer))));
                }
            }
            let inputs: Few<View<'_, T>> = dispatch.inputs.iter().map(|input| self.view(input)).collect();
            let mut outputs = parts(&mut taken, &dispatch.outputs);
            match dispatch.op.effect() {
                Effect::UpdateElements(_) => self.update(step, dispatch, &inputs, &mut outputs),
                _ => dispatch.op.reference(step, &inputs, &mut outputs),
            }
            for (values, view) in outputs.iter_mut().zip(&dispatch.outputs) {
                if view.dtype == DType::F16 {
                    round_to_half(values);
                }
            }
            drop((inputs, outputs));
            for (id, values) in taken {
                *self.buffer_mut(program, id) = values;
            }
            done(at);
        }
        program.plan.dispatches = dispatches;
    }

    /// Where each of a plan's local buffers is, new ones made where needed.
    fn place_locals(&mut self, plan: &Plan) -> Vec<usize> {
        // An element takes a whole T, whatever it is stored as on a GPU: of half precision twice as many fit a slot.
        let halves = plan.dispatches.iter().flat_map(|dispatch| &dispatch.outputs).any(|view| view.dtype == DType::F16);
        let element = if halves { DType::F16.bytes() } else { DType::F32.bytes() };
        let new = |locals: &mut Vec<AlignedVec<T>>, bytes: usize| {
            let len = bytes / DType::F32.bytes();
            // Not a number until written: a dispatch that reads what no other wrote shows at once.
            locals.push(AlignedVec::new(len, T::nan()));
            locals.len() - 1
        };
        let shared = plan.shared_locals();
        let size_of = |local: usize| plan.locals[local] / element * DType::F32.bytes();
        let sizes: Vec<u64> = shared.iter().map(|&local| size_of(local) as u64).collect();
        let assigned = self.pool.assign(&sizes);
        for &size in &self.pool.sizes()[self.pooled.len()..] {
            self.pooled.push(new(&mut self.locals, size as usize));
        }
        let mut places: Vec<Option<usize>> = vec![None; plan.locals.len()];
        shared.iter().zip(assigned).for_each(|(&local, at)| places[local] = Some(self.pooled[at]));
        places
            .into_iter()
            .enumerate()
            .map(|(local, place)| place.unwrap_or_else(|| new(&mut self.locals, size_of(local))))
            .collect()
    }

    /// Updates one parameter after another: threads take each from both ends, as they do the rows of its gradient's product
    /// and the panels of the products that read it.
    fn update(&self, step: &Step, dispatch: &Dispatch, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let BufferView { buffer, shape, .. } = dispatch.outputs[0];
        let offset = dispatch.outputs[0].first();
        let end = offset + shape.len();
        let spans: Few<_> = match buffer {
            BufferId::Arena(_) => self.layout.ids().map(|id| self.layout.span(id)).collect(),
            _ => Few::from_elem(offset..end, 1),
        };
        for span in spans.into_iter().filter(|span| span.start < end && span.end > offset) {
            let span = span.start.max(offset) - offset..span.end.min(end) - offset;
            let mut inputs = Few::from_slice(inputs);
            for view in inputs.iter_mut().filter(|view| view.shape == shape) {
                *view = View { shape: Shape::new(1, span.len()), values: &view.values[span.clone()], bytes: &[] };
            }
            let mut outputs: Few<&mut [T]> = outputs.iter_mut().map(|values| &mut values[span.clone()]).collect();
            dispatch.op.reference(step, &inputs, &mut outputs);
        }
    }

    fn view(&self, view: &BufferView) -> View<'_, T> {
        match view.buffer {
            BufferId::Dataset(index) => {
                let held = &self.data[index];
                View { shape: view.shape, values: &held.reals, bytes: &held.bytes }
            }
            id => {
                let values = &self.buffer(id)[view.first()..][..view.shape.len()];
                View { shape: view.shape, values, bytes: &[] }
            }
        }
    }
}

/// What a GPU loads of values that it stores in half precision, as `shaders/common/halves.wgsl` rounds them.
fn round_to_half<T: Real>(values: &mut [T]) {
    for value in values {
        let single = value.to_real64() as f32;
        let rounded = half::f16::from_f32(single).to_f64();
        let kept = match single {
            _ if single.is_nan() => f64::INFINITY,
            _ if single.abs() < half::f16::MIN_POSITIVE.to_f32() => 0.0,
            _ => rounded,
        };
        *value = T::from_f64(kept.copysign(f64::from(single)));
    }
}

/// Inputs or outputs of a plan by name.
fn ports(views: &[(String, BufferView)]) -> impl Iterator<Item = (&str, BufferView)> + Clone {
    views.iter().map(|(name, view)| (name.as_str(), *view))
}

/// The outputs as parts of the buffers they lie in; several may lie in one, apart.
fn parts<'a, T: Real>(buffers: &'a mut [(BufferId, AlignedVec<T>)], outputs: &[BufferView]) -> Few<&'a mut [T]> {
    let mut parts: Few<Option<&mut [T]>> = outputs.iter().map(|_| None).collect();
    for (place, values) in buffers {
        let mut inside: Few<usize> = (0..outputs.len()).filter(|&i| outputs[i].buffer == *place).collect();
        inside.sort_by_key(|&i| outputs[i].first());
        let (mut rest, mut at) = (&mut values[..], 0);
        for i in inside {
            let len = match place {
                BufferId::Metrics => rest.len(),
                _ => outputs[i].shape.len(),
            };
            let (part, after) = rest.split_at_mut(outputs[i].first() - at).1.split_at_mut(len);
            (rest, at) = (after, outputs[i].first() + len);
            parts[i] = Some(part);
        }
    }
    parts.into_iter().map(|part| part.expect("every output lies in a buffer that was taken")).collect()
}

impl<T: Real> Session for CpuSession<T> {
    fn load(&mut self, mut plan: Plan) -> Result<ProgramId> {
        let held: Vec<(Shape, DType)> = self.data.iter().map(|held| held.kind).collect();
        check_datasets(&plan, &held)?;
        check_len("the plan's arenas", plan.layout.len(), self.layout.len())?;
        for name in &plan.arenas {
            if self.arenas.iter().all(|(known, _)| known != name) {
                self.arenas.push((name, AlignedVec::new(self.layout.len(), T::zero())));
            }
        }
        let local_of = self.place_locals(&plan);
        let moved = |view: &mut BufferView| {
            if let BufferId::Local(local) = &mut view.buffer {
                *local = local_of[*local];
            }
        };
        plan.dispatches
            .iter_mut()
            .flat_map(|dispatch| dispatch.inputs.iter_mut().chain(&mut dispatch.outputs))
            .for_each(moved);
        plan.inputs.iter_mut().chain(&mut plan.outputs).for_each(|(_, view)| moved(view));
        let metrics = AlignedVec::new(MAX_STEPS * plan.metrics.len(), T::nan());
        self.programs.push(Program { plan, metrics });
        Ok(ProgramId(self.programs.len() - 1))
    }

    fn split(&mut self, program: ProgramId, group: usize) -> Result<ProgramId> {
        let Program { plan, .. } = &mut self.programs[program.0];
        let at = plan.dispatches.partition_point(|dispatch| dispatch.group <= group);
        let records = |dispatches: &[Dispatch]| {
            let mut outputs = dispatches.iter().flat_map(|dispatch| &dispatch.outputs);
            outputs.any(|output| output.buffer == BufferId::Metrics)
        };
        let first_records = records(&plan.dispatches[..at]);
        check_records(first_records, records(&plan.dispatches[at..]))?;
        let dispatches = plan.dispatches.split_off(at);
        let mut behind = Plan { dispatches, ..plan.clone() };
        let silent = if first_records { &mut behind } else { &mut *plan };
        silent.metrics.clear();
        let metrics = AlignedVec::new(MAX_STEPS * behind.metrics.len(), T::nan());
        self.programs.push(Program { plan: behind, metrics });
        Ok(ProgramId(self.programs.len() - 1))
    }

    fn runs_ahead(&self) -> bool {
        false
    }

    fn submit(&mut self, programs: &[ProgramId], steps: &[Step]) -> Result<Submission> {
        check_submission(programs, steps)?;
        for program in programs {
            steps.iter().try_for_each(|step| step.check(&self.programs[program.0].plan.scalars))?;
        }
        keep_spinning(|| {
            for (slot, step) in steps.iter().enumerate() {
                for program in programs {
                    // Out of the session while it runs, so that both can be borrowed.
                    let mut running = std::mem::take(&mut self.programs[program.0]);
                    self.step(&mut running, &Step { slot: slot as u32, ..*step }, |_| {});
                    self.counters.dispatches += running.plan.dispatches.len() as u64;
                    self.programs[program.0] = running;
                }
            }
        });
        let ran = |at: usize| &self.programs[programs[at].0];
        let rings: Few<usize> = (0..programs.len()).map(|at| ran(at).plan.metrics.len()).collect();
        let recorded = Recorded::gather(&rings, steps.len(), |ring, element| ran(ring).metrics[element].to_real64());
        Ok(Submission { state: SubmissionState::Done(recorded) })
    }

    fn finish(&mut self, submission: Submission) -> Result<Recorded> {
        match submission.state {
            SubmissionState::Done(recorded) => Ok(recorded),
            SubmissionState::Gpu(_) => Err(Error::device("cpu", "was given another device's submission")),
        }
    }

    fn write_arena(&mut self, name: &str, values: &[f32]) -> Result<()> {
        check_len(name, values.len(), self.arena(name)?.len())?;
        let (_, arena) = self.arenas.iter_mut().find(|(known, _)| *known == name).expect("it was found");
        T::copy_singles(values, arena);
        self.layout.clear_padding(arena);
        Ok(())
    }

    fn read_arena(&mut self, name: &str) -> Result<Vec<f32>> {
        Ok(T::to_singles(self.arena(name)?))
    }

    fn read_arena_part(&mut self, name: &str, part: Range<usize>) -> Result<Vec<f32>> {
        Ok(T::to_singles(&self.arena(name)?[part]))
    }

    fn write_data(&mut self, index: usize, values: Values<'_>) -> Result<()> {
        let kinds: Vec<(Shape, DType)> = self.data.iter().map(|held| held.kind).collect();
        check_data(&kinds, index, &values)?;
        let (held, bytes) = (&mut self.data[index], values.bytes());
        held.bytes[..bytes.len()].copy_from_slice(bytes);
        values.write_reals(&mut held.reals);
        Ok(())
    }

    fn write_input(&mut self, program: ProgramId, name: &str, values: &[f32]) -> Result<()> {
        let input = self.input_mut(program, name)?;
        check_len(name, values.len(), input.len())?;
        T::copy_singles(values, input);
        Ok(())
    }

    fn read_output(&mut self, program: ProgramId, name: &str) -> Result<Vec<f32>> {
        Ok(T::to_singles(self.output(program, name)?))
    }

    fn dispatches(&self, program: ProgramId) -> usize {
        self.programs[program.0].plan.dispatches.len()
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn profile(&mut self, program: ProgramId, step: &Step, repeats: usize) -> Result<Vec<f64>> {
        let groups: Vec<usize> =
            self.programs[program.0].plan.dispatches.iter().map(|dispatch| dispatch.group).collect();
        let count = groups.len();
        let mut times = vec![Vec::with_capacity(repeats); groups.iter().max().map_or(0, |last| last + 1)];
        step.check(&self.programs[program.0].plan.scalars)?;
        let step = &Step { slot: 0, ..*step };
        keep_spinning(|| {
            let mut running = std::mem::take(&mut self.programs[program.0]);
            self.step(&mut running, step, |_| {});
            for repeat in 0..repeats {
                times.iter_mut().for_each(|times| times.push(0.0));
                let mut last = Instant::now();
                self.step(&mut running, step, |at| {
                    let now = Instant::now();
                    times[groups[at]][repeat] += (now - last).as_secs_f64();
                    last = now;
                });
            }
            self.programs[program.0] = running;
        });
        self.counters.dispatches += ((repeats + 1) * count) as u64;
        Ok(times.iter_mut().map(|times| median(times)).collect())
    }
}
