//! One model on a GPU: its buffers, its programs, and submissions of them. A program is a [`Recording`], executed as it is:
//! nothing is chosen here.
//!
//! Steps are rows of a uniform buffer a program, written once a submission; a step's dispatches bind its row by dynamic offset.
//! What steps record lands in the program's metrics ring, which each submission copies to a staging buffer of its own that is
//! mapped asynchronously while the next submission runs.

use super::buffers::{GUARD, GUARD_WORD, PendingReadback, map, staging, storage, upload};
use super::kernel::{Pipeline, PipelineKey};
use super::program::{Encoded, Program};
use super::*;
use crate::graph::PARAMETERS;
use crate::plan::recording::{Binding, Dispatch, Port, Recording, Role};
use crate::plan::{Pool, lower_changed};
use crate::step::{PackedStep, ROW_BYTES};

/// A model on a GPU.
#[derive(Debug)]
pub struct GpuSession {
    pub(super) shared: Arc<Shared>,
    pub(super) arenas: Vec<(String, wgpu::Buffer)>,
    layout: ParameterLayout,
    pub(super) data: Vec<(Shape, DType, wgpu::Buffer)>,
    pub(super) pipelines: Vec<(PipelineKey, Pipeline)>,
    pub(super) programs: Vec<Program>,
    /// Local buffers that programs share.
    pub(super) pool: Pool,
    pub(super) pooled: Vec<wgpu::Buffer>,
    spare_staging: Vec<wgpu::Buffer>,
    /// Submissions a step.
    submissions_per_step: usize,
    pub(super) counters: Counters,
}

/// What a submission's steps recorded, on its way.
#[derive(Debug)]
pub(crate) struct PendingRecord {
    readback: PendingReadback,
    bytes: u64,
    steps: usize,
    /// Columns of each program's ring.
    rings: Vec<usize>,
}

impl GpuSession {
    pub(super) fn new(shared: Arc<Shared>, layout: &ParameterLayout, data: &[Data<'_>]) -> Result<GpuSession> {
        let mut resident = Vec::new();
        let mut counters = Counters::default();
        for (index, set) in data.iter().enumerate() {
            let held = set.values.as_bytes();
            let bytes = held.len().next_multiple_of(4) as u64;
            let buffer = storage(&shared, &format!("data set {index}"), bytes, 0)?;
            counters.bytes_to_device += upload(&shared, &buffer, held);
            resident.push((set.shape, set.dtype(), buffer));
        }
        let mut session = GpuSession {
            shared,
            arenas: Vec::new(),
            layout: layout.clone(),
            data: resident,
            pipelines: Vec::new(),
            programs: Vec::new(),
            pool: Pool::default(),
            pooled: Vec::new(),
            spare_staging: Vec::new(),
            submissions_per_step: 1,
            counters,
        };
        session.make_arena(PARAMETERS)?;
        session.shared.check()?;
        Ok(session)
    }

    /// The arena of this name; new and all zero where there was none.
    pub(super) fn make_arena(&mut self, name: &str) -> Result<wgpu::Buffer> {
        if let Some((_, arena)) = self.arenas.iter().find(|(known, _)| known == name) {
            return Ok(arena.clone());
        }
        let arena = storage(&self.shared, name, 4 * self.layout.len().max(1) as u64, 0)?;
        self.arenas.push((name.to_owned(), arena.clone()));
        Ok(arena)
    }

    fn arena(&self, name: &str) -> Result<wgpu::Buffer> {
        named(self.arenas.iter().map(|(known, arena)| (known.as_str(), arena)), name).cloned()
    }

    /// The buffer and range behind an input's or output's name.
    fn port(
        &self,
        program: ProgramId,
        name: &str,
        of: impl Fn(&Recording) -> &[Port],
    ) -> Result<(wgpu::Buffer, Binding)> {
        let Program { recording, buffers, .. } = &self.programs[program.0];
        let binding = named(of(recording).iter().map(|port| (port.name.as_str(), port.binding)), name)?;
        Ok((buffers[binding.buffer].clone(), binding))
    }

    /// Reads `len` bytes of a buffer, after everything submitted.
    pub(super) fn download<T: bytemuck::Pod>(
        &mut self,
        buffer: &wgpu::Buffer,
        offset: u64,
        len: u64,
    ) -> Result<Vec<T>> {
        let staging = staging(&self.shared, len);
        let mut encoder = self.shared.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, offset, &staging, 0, len);
        let index = self.shared.queue.submit([encoder.finish()]);
        self.counters.submissions += 1;
        let pending = map(staging, len, index);
        let (values, _) = self.wait(pending, len)?;
        Ok(values)
    }

    fn wait<T: bytemuck::Pod>(&mut self, pending: PendingReadback, len: u64) -> Result<(Vec<T>, wgpu::Buffer)> {
        let read = pending.read(&self.shared, len)?;
        self.counters.bytes_from_device += len;
        Ok(read)
    }

    /// Puts what programs compute once a submission into an encoder: how many dispatches.
    pub(super) fn encode_prologues(&self, encoder: &mut wgpu::CommandEncoder, programs: &[ProgramId]) -> u64 {
        let once: Vec<&Encoded> = programs.iter().flat_map(|program| &self.programs[program.0].prologue).collect();
        if !once.is_empty() {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            once.iter().for_each(|dispatch| dispatch.encode_once(&mut pass));
        }
        once.len() as u64
    }

    /// Steps to the program's uniform buffer, one a row.
    pub(super) fn write_rows(&mut self, program: ProgramId, steps: &[Step]) -> Result<()> {
        let Program { recording, rows: buffer, .. } = &self.programs[program.0];
        let mut rows = vec![0_u8; ROW_BYTES as usize * steps.len()];
        for (slot, (row, step)) in rows.chunks_mut(ROW_BYTES as usize).zip(steps).enumerate() {
            step.check(&recording.scalars)?;
            let packed = Step { slot: slot as u32, ..*step }.pack(&recording.scalars);
            row[..size_of::<PackedStep>()].copy_from_slice(bytemuck::bytes_of(&packed));
        }
        let buffer = buffer.clone();
        self.upload(&buffer, 0, &rows);
        Ok(())
    }

    /// A staging buffer for what the programs' steps record, its bytes, and the columns of each ring.
    fn staging(&mut self, programs: &[ProgramId], steps: usize) -> (wgpu::Buffer, u64, Vec<usize>) {
        let rings: Vec<usize> =
            programs.iter().map(|program| self.programs[program.0].recording.metrics.len()).collect();
        // A word at least, to be mapped.
        let bytes_of = |steps: usize| (4 * steps * rings.iter().sum::<usize>()).max(4) as u64;
        let (size, bytes) = (bytes_of(MAX_STEPS), bytes_of(steps));
        let spare = self.spare_staging.iter().position(|staging| staging.size() == size);
        let staging = match spare {
            Some(spare) => self.spare_staging.swap_remove(spare),
            None => staging(&self.shared, size),
        };
        (staging, bytes, rings)
    }

    /// Copies what the programs' steps record, a ring after another.
    fn copy_metrics(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        programs: &[ProgramId],
        steps: usize,
        staging: &wgpu::Buffer,
    ) {
        let mut at = 0;
        for program in programs {
            let Program { recording, buffers, .. } = &self.programs[program.0];
            if let Some(ring) = recording.buffers.iter().position(|buffer| buffer.role == Role::Metrics) {
                let bytes = (4 * steps * recording.metrics.len()) as u64;
                encoder.copy_buffer_to_buffer(&buffers[ring], 0, staging, at, bytes);
                at += bytes;
            }
        }
    }

    fn upload(&mut self, buffer: &wgpu::Buffer, offset: u64, bytes: &[u8]) {
        self.shared.queue.write_buffer(buffer, offset, bytes);
        self.counters.bytes_to_device += bytes.len() as u64;
    }
}

impl Session for GpuSession {
    fn load(&mut self, plan: Plan) -> Result<ProgramId> {
        let held: Vec<(Shape, DType)> = self.data.iter().map(|&(shape, dtype, _)| (shape, dtype)).collect();
        check_datasets(&plan, &held)?;
        check_len("the plan's arenas", plan.layout.len(), self.layout.len())?;
        let recording = lower_changed(&plan, &self.shared.profile, |kernel| {
            if let Some(fault) = self.shared.options.fault {
                fault(kernel);
            }
        })?;
        self.load_lowered(recording)
    }

    fn split(&mut self, program: ProgramId, group: usize) -> Result<ProgramId> {
        let before = &mut self.programs[program.0];
        let at = before.dispatches.partition_point(|dispatch| dispatch.group <= group);
        let recording = &mut before.recording;
        let ring = recording.buffers.iter().position(|buffer| buffer.role == Role::Metrics);
        let records = |dispatches: &[Dispatch]| {
            let mut bindings = dispatches.iter().flat_map(|dispatch| &dispatch.bindings);
            bindings.any(|binding| binding.writes && Some(binding.buffer) == ring)
        };
        let first_records = records(&recording.dispatches[..at]);
        check_records(first_records, records(&recording.dispatches[at..]))?;
        let dispatches = recording.dispatches.split_off(at);
        let mut behind = Recording { dispatches, prologue: Vec::new(), ..recording.clone() };
        let silent = if first_records { &mut behind } else { &mut *recording };
        silent.metrics.clear();
        let (buffers, rows) = (before.buffers.clone(), before.rows.clone());
        let dispatches = before.dispatches.split_off(at);
        self.programs.push(Program { recording: behind, buffers, rows, prologue: Vec::new(), dispatches });
        Ok(ProgramId(self.programs.len() - 1))
    }

    fn runs_ahead(&self) -> bool {
        true
    }

    fn submit(&mut self, programs: &[ProgramId], steps: &[Step]) -> Result<Submission> {
        check_submission(programs, steps)?;
        programs.iter().try_for_each(|&program| self.write_rows(program, steps))?;
        let (staging, bytes, rings) = self.staging(programs, steps.len());
        let begin = || self.shared.device.create_command_encoder(&Default::default());
        let mut encoder = begin();
        let once = self.encode_prologues(&mut encoder, programs);
        let a_step = || programs.iter().flat_map(|program| &self.programs[program.0].dispatches);
        let ops: Vec<(usize, &Encoded)> =
            (0..steps.len()).flat_map(|slot| a_step().map(move |dispatch| (slot, dispatch))).collect();
        // All of them, or a part of a step.
        let part = if self.submissions_per_step == 1 {
            ops.len()
        } else {
            a_step().count().div_ceil(self.submissions_per_step)
        };
        let mut submissions = 1;
        for (at, part) in ops.chunks(part.max(1)).enumerate() {
            if at > 0 {
                self.shared.queue.submit([std::mem::replace(&mut encoder, begin()).finish()]);
                submissions += 1;
            }
            let mut pass = encoder.begin_compute_pass(&Default::default());
            part.iter().for_each(|(slot, dispatch)| dispatch.encode(&mut pass, *slot));
        }
        self.copy_metrics(&mut encoder, programs, steps.len(), &staging);
        let index = self.shared.queue.submit([encoder.finish()]);
        self.counters.submissions += submissions;
        self.counters.dispatches += once + ops.len() as u64;
        self.shared.check()?;
        let readback = map(staging, bytes, index);
        Ok(Submission { state: SubmissionState::Gpu(PendingRecord { readback, bytes, steps: steps.len(), rings }) })
    }

    fn split_steps(&mut self, submissions_per_step: usize) {
        self.submissions_per_step = submissions_per_step.max(1);
    }

    fn finish(&mut self, submission: Submission) -> Result<Recorded> {
        let PendingRecord { readback, bytes, steps, rings } = match submission.state {
            SubmissionState::Gpu(pending) => pending,
            SubmissionState::Done(_) => return Err(self.shared.error("was given another device's submission")),
        };
        let (values, staging) = self.wait::<f32>(readback, bytes)?;
        self.spare_staging.push(staging);
        let starts: Vec<usize> = (0..rings.len()).map(|ring| steps * rings[..ring].iter().sum::<usize>()).collect();
        Ok(Recorded::gather(&rings, steps, |ring, element| f64::from(values[starts[ring] + element])))
    }

    fn write_arena(&mut self, name: &str, values: &[f32]) -> Result<()> {
        let buffer = self.arena(name)?;
        check_len(name, values.len(), self.layout.len())?;
        let mut values = values.to_vec();
        self.layout.clear_padding(&mut values);
        self.upload(&buffer, 0, bytemuck::cast_slice(&values));
        Ok(())
    }

    fn read_arena(&mut self, name: &str) -> Result<Vec<f32>> {
        self.read_arena_part(name, 0..self.layout.len())
    }

    fn read_arena_part(&mut self, name: &str, part: Range<usize>) -> Result<Vec<f32>> {
        let buffer = self.arena(name)?;
        assert!(part.end <= self.layout.len(), "the arena {name} has {} elements: not {part:?}", self.layout.len());
        match part.len() {
            0 => Ok(Vec::new()),
            len => self.download(&buffer, 4 * part.start as u64, 4 * len as u64),
        }
    }

    fn write_data(&mut self, index: usize, values: Values<'_>) -> Result<()> {
        let kinds: Vec<(Shape, DType)> = self.data.iter().map(|(shape, dtype, _)| (*shape, *dtype)).collect();
        check_data(&kinds, index, &values)?;
        self.counters.bytes_to_device += upload(&self.shared, &self.data[index].2, values.as_bytes());
        Ok(())
    }

    fn write_input(&mut self, program: ProgramId, name: &str, values: &[f32]) -> Result<()> {
        let (buffer, Binding { offset, bytes, .. }) = self.port(program, name, |recording| &recording.inputs)?;
        check_len(name, values.len(), bytes as usize / 4)?;
        self.upload(&buffer, offset, bytemuck::cast_slice(values));
        Ok(())
    }

    fn read_output(&mut self, program: ProgramId, name: &str) -> Result<Vec<f32>> {
        let (buffer, Binding { offset, bytes, .. }) = self.port(program, name, |recording| &recording.outputs)?;
        self.download(&buffer, offset, bytes)
    }

    fn dispatches(&self, program: ProgramId) -> usize {
        self.programs[program.0].dispatches.len()
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn check_guards(&mut self) -> Result<()> {
        if !self.shared.options.checks {
            return Ok(());
        }
        let mut buffers = self.arenas.clone();
        for (p, program) in self.programs.iter().enumerate() {
            let own = program.recording.buffers.iter().zip(&program.buffers).enumerate();
            let own = own.filter(|(_, (buffer, _))| !matches!(buffer.role, Role::Arena(_) | Role::Dataset(_)));
            buffers.extend(own.map(|(i, (_, buffer))| (format!("program {p} buffer %{i}"), buffer.clone())));
        }
        for (name, buffer) in buffers {
            let words: Vec<u32> = self.download(&buffer, buffer.size() - GUARD, GUARD)?;
            if let Some(at) = words.iter().position(|&word| word != GUARD_WORD) {
                return Err(self.shared.error(format!("{name}: a kernel wrote {at} words past its end")));
            }
        }
        Ok(())
    }

    fn profile(&mut self, program: ProgramId, step: &Step, repeats: usize) -> Result<Vec<f64>> {
        self.times(program, step, repeats)
    }
}
