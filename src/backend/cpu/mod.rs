//! The CPU: every op's reference, in the order of the plan, in f32 or f64.

mod interpret;

pub use interpret::interpret;

use super::*;
use crate::compute::{AlignedVec, keep_spinning};
use crate::ops::{Effect, Real, View};
use crate::plan::{BufferId, Dispatch};
use smallvec::SmallVec;
use std::time::Instant;

/// The CPU as a device, computing in `T`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu<T>(std::marker::PhantomData<T>);

impl<T> Cpu<T> {
    /// The device.
    pub fn new() -> Cpu<T> {
        Cpu(std::marker::PhantomData)
    }
}

impl<T: Real> Device for Cpu<T> {
    fn name(&self) -> String {
        let bits = 8 * size_of::<T>();
        match rayon::current_num_threads() {
            1 => format!("cpu (1 thread, f{bits})"),
            threads => format!("cpu ({threads} threads, f{bits})"),
        }
    }

    /// A factor is packed before it is multiplied: to be computed as it is read, it would be stored first, each time.
    fn fusion(&self) -> Fusion {
        Fusion::Epilogues
    }

    fn adapter(&self) -> Adapter {
        Adapter { name: processor(), driver: None }
    }

    fn with_products(&self, _: Products) -> Option<Box<dyn Device>> {
        None
    }

    fn session(&self, layout: &ParameterLayout, data: &[Data<'_>]) -> Result<Box<dyn Session>> {
        Ok(Box::new(CpuSession::<T>::new(layout, data)))
    }
}

/// The processor's own name, where it tells one ("AMD EPYC 9654"); else the architecture's ("aarch64").
fn processor() -> String {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    if let Some(brand) = raw_cpuid::CpuId::new().get_processor_brand_string() {
        return brand.as_str().trim().to_owned();
    }
    std::env::consts::ARCH.to_owned()
}

/// As many as a dispatch has inputs or outputs, without a list in memory.
type Few<X> = SmallVec<[X; 8]>;

/// A model on the CPU.
#[derive(Debug)]
pub struct CpuSession<T> {
    layout: ParameterLayout,
    arenas: [AlignedVec<T>; 4],
    metrics: AlignedVec<T>,
    data: Vec<Held<T>>,
    programs: Vec<Program<T>>,
    traffic: Traffic,
}

/// A resident data set; one of the two lists is empty.
#[derive(Debug)]
struct Held<T> {
    kind: (Shape, DType),
    bytes: Vec<u8>,
    reals: Vec<T>,
}

impl<T: Real> Held<T> {
    fn new(data: &Data<'_>) -> Held<T> {
        let kind = (data.shape, data.dtype());
        match data.values {
            Values::Bytes(bytes) => Held { kind, bytes: bytes.to_vec(), reals: Vec::new() },
            Values::Reals(reals) => {
                let reals = reals.iter().map(|&real| T::from_f64(f64::from(real))).collect();
                Held { kind, bytes: Vec::new(), reals }
            }
        }
    }
}

#[derive(Debug, Default)]
struct Program<T> {
    plan: Plan,
    locals: Vec<AlignedVec<T>>,
}

impl<T: Real> CpuSession<T> {
    /// Arenas of this layout, all zero, and these data sets.
    pub fn new(layout: &ParameterLayout, data: &[Data<'_>]) -> CpuSession<T> {
        CpuSession {
            layout: layout.clone(),
            arenas: std::array::from_fn(|_| AlignedVec::new(layout.len(), T::zero())),
            metrics: AlignedVec::new(MAX_STEPS * METRICS, T::zero()),
            data: data.iter().map(Held::new).collect(),
            programs: Vec::new(),
            traffic: Traffic::default(),
        }
    }

    /// An arena's values, in full precision.
    pub fn arena(&self, arena: Arena) -> &[T] {
        &self.arenas[arena as usize]
    }

    /// A program's output, in full precision.
    pub fn output(&self, program: ProgramId, name: &str) -> Result<&[T]> {
        let program = &self.programs[program.0];
        let slice = named(ports(&program.plan.outputs), name)?;
        Ok(&self.buffer(program, slice.buffer)[slice.offset..][..slice.shape.len()])
    }

    /// A program's input, to be written in full precision.
    pub fn input_mut(&mut self, program: ProgramId, name: &str) -> Result<&mut [T]> {
        let program = &mut self.programs[program.0];
        let slice = named(ports(&program.plan.inputs), name)?;
        let BufferId::Local(local) = slice.buffer else { unreachable!("inputs are local") };
        Ok(&mut program.locals[local][..slice.shape.len()])
    }

    fn buffer<'a>(&'a self, program: &'a Program<T>, place: BufferId) -> &'a [T] {
        match place {
            BufferId::Arena(arena) => &self.arenas[arena as usize],
            BufferId::Metrics => &self.metrics,
            BufferId::Local(local) => &program.locals[local],
            BufferId::Dataset(index) => &self.data[index].reals,
        }
    }

    fn take(&mut self, program: &mut Program<T>, place: BufferId) -> AlignedVec<T> {
        std::mem::take(match place {
            BufferId::Arena(arena) => &mut self.arenas[arena as usize],
            BufferId::Metrics => &mut self.metrics,
            BufferId::Local(local) => &mut program.locals[local],
            BufferId::Dataset(_) => unreachable!("data sets are read only"),
        })
    }

    fn put(&mut self, program: &mut Program<T>, place: BufferId, values: AlignedVec<T>) {
        match place {
            BufferId::Arena(arena) => self.arenas[arena as usize] = values,
            BufferId::Metrics => self.metrics = values,
            BufferId::Local(local) => program.locals[local] = values,
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
                    taken.push((output.buffer, self.take(program, output.buffer)));
                }
            }
            let inputs: Few<View<'_, T>> = dispatch.inputs.iter().map(|input| self.view(program, input)).collect();
            let mut outputs = parts(&mut taken, &dispatch.outputs);
            match dispatch.op.effect() {
                Effect::Update => self.update(step, dispatch, &inputs, &mut outputs),
                _ => dispatch.op.reference(step, &inputs, &mut outputs),
            }
            drop((inputs, outputs));
            for (place, values) in taken {
                self.put(program, place, values);
            }
            done(at);
        }
        program.plan.dispatches = dispatches;
    }

    /// Updates one parameter after another: threads take each from both ends, as they do the rows of its gradient's product
    /// and the panels of the products that read it.
    fn update(&self, step: &Step, dispatch: &Dispatch, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let BufferView { offset, shape, .. } = dispatch.outputs[0];
        let spans = self.layout.ids().map(|id| self.layout.span(id));
        for span in spans.filter(|span| (offset..offset + shape.len()).contains(&span.start)) {
            let span = span.start - offset..span.end - offset;
            let mut inputs = Few::from_slice(inputs);
            inputs[0] = View { shape: Shape::new(1, span.len()), values: &inputs[0].values[span.clone()], bytes: &[] };
            let mut outputs: Few<&mut [T]> = outputs.iter_mut().map(|arena| &mut arena[span.clone()]).collect();
            dispatch.op.reference(step, &inputs, &mut outputs);
        }
    }

    fn view<'a>(&'a self, program: &'a Program<T>, slice: &BufferView) -> View<'a, T> {
        match slice.buffer {
            BufferId::Dataset(index) => {
                let held = &self.data[index];
                View { shape: slice.shape, values: &held.reals, bytes: &held.bytes }
            }
            place => {
                let values = &self.buffer(program, place)[slice.offset..][..slice.shape.len()];
                View { shape: slice.shape, values, bytes: &[] }
            }
        }
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
        inside.sort_by_key(|&i| outputs[i].offset);
        let (mut rest, mut at) = (&mut values[..], 0);
        for i in inside {
            let len = match place {
                BufferId::Metrics => rest.len(),
                _ => outputs[i].shape.len(),
            };
            let (part, after) = rest.split_at_mut(outputs[i].offset - at).1.split_at_mut(len);
            (rest, at) = (after, outputs[i].offset + len);
            parts[i] = Some(part);
        }
    }
    parts.into_iter().map(|part| part.expect("every output lies in a buffer that was taken")).collect()
}

impl<T: Real> Session for CpuSession<T> {
    fn load(&mut self, plan: Plan) -> Result<ProgramId> {
        let held: Vec<(Shape, DType)> = self.data.iter().map(|held| held.kind).collect();
        check_datasets(&plan, &held)?;
        check_len("the plan's arenas", plan.layout.len(), self.layout.len())?;
        // Not a number until written: a dispatch that reads what no other wrote shows at once.
        let locals = plan.locals.iter().map(|&len| AlignedVec::new(len, T::nan())).collect();
        self.programs.push(Program { plan, locals });
        Ok(ProgramId(self.programs.len() - 1))
    }

    fn submit(&mut self, programs: &[ProgramId], steps: &[Step]) -> Result<Submission> {
        assert!((1..=MAX_STEPS).contains(&steps.len()), "a submission has 1 to {MAX_STEPS} steps");
        self.metrics.fill(T::zero());
        keep_spinning(|| {
            for (slot, step) in steps.iter().enumerate() {
                for program in programs {
                    // Out of the session while it runs, so that both can be borrowed.
                    let mut running = std::mem::take(&mut self.programs[program.0]);
                    self.step(&mut running, &Step { slot: slot as u32, ..*step }, |_| {});
                    self.traffic.dispatches += running.plan.dispatches.len() as u64;
                    self.programs[program.0] = running;
                }
            }
        });
        let rows = self.metrics.chunks(METRICS).take(steps.len());
        let metrics = rows.map(|row| std::array::from_fn(|i| row[i].to_real64())).collect();
        Ok(Submission { steps: steps.len(), state: SubmissionState::Done(metrics) })
    }

    fn finish(&mut self, submission: Submission) -> Result<Vec<Metrics>> {
        match submission.state {
            SubmissionState::Done(metrics) => Ok(metrics),
            SubmissionState::Gpu(_) => Err(Error::device("cpu", "was given another device's submission")),
        }
    }

    fn write_arena(&mut self, arena: Arena, values: &[f32]) -> Result<()> {
        let arena = &mut self.arenas[arena as usize];
        check_len("arena", values.len(), arena.len())?;
        let mut values = values.to_vec();
        self.layout.clear_padding(&mut values);
        arena.iter_mut().zip(values).for_each(|(to, from)| *to = T::from_f64(f64::from(from)));
        Ok(())
    }

    fn read_arena(&mut self, arena: Arena) -> Result<Vec<f32>> {
        Ok(self.arena(arena).iter().map(|value| value.to_real64() as f32).collect())
    }

    fn write_data(&mut self, index: usize, values: Values<'_>) -> Result<()> {
        let kinds: Vec<(Shape, DType)> = self.data.iter().map(|held| held.kind).collect();
        check_data(&kinds, index, &values)?;
        let held = &mut self.data[index];
        match values {
            Values::Bytes(bytes) => held.bytes[..bytes.len()].copy_from_slice(bytes),
            Values::Reals(reals) => {
                held.reals.iter_mut().zip(reals).for_each(|(to, &from)| *to = T::from_f64(f64::from(from)));
            }
        }
        Ok(())
    }

    fn write_input(&mut self, program: ProgramId, name: &str, values: &[f32]) -> Result<()> {
        let input = self.input_mut(program, name)?;
        check_len(name, values.len(), input.len())?;
        input.iter_mut().zip(values).for_each(|(to, &from)| *to = T::from_f64(f64::from(from)));
        Ok(())
    }

    fn read_output(&mut self, program: ProgramId, name: &str) -> Result<Vec<f32>> {
        Ok(self.output(program, name)?.iter().map(|value| value.to_real64() as f32).collect())
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }

    fn profile(&mut self, program: ProgramId, step: &Step, repeats: usize) -> Result<Vec<f64>> {
        let groups: Vec<usize> =
            self.programs[program.0].plan.dispatches.iter().map(|dispatch| dispatch.group).collect();
        let count = groups.len();
        let mut times = vec![Vec::with_capacity(repeats); groups.iter().max().map_or(0, |last| last + 1)];
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
        self.traffic.dispatches += ((repeats + 1) * count) as u64;
        Ok(times.iter_mut().map(|times| median(times)).collect())
    }
}
