//! One model on a GPU: its buffers, its programs, and submissions of them. A program is a [`Recording`], executed as it is:
//! nothing is chosen here.
//!
//! Steps are rows of a uniform buffer a program, written once a submission; a step's dispatches bind its row by dynamic offset.
//! What steps record lands in the program's metrics ring, which each submission copies to a staging buffer of its own that is
//! mapped asynchronously while the next submission runs.

use super::buffers::{GUARD, GUARD_WORD, PendingReadback, map, staging, storage, upload};
use super::kernel::{Kernel, Pipeline, build};
use super::*;
use crate::graph::PARAMETERS;
use crate::plan::recording::{Binding, Dispatch, Port, Recording, Role};
use crate::plan::{Pool, lower_changed};
use crate::step::PackedStep;
use std::time::Instant;

/// Bytes from one step's row to the next: WebGPU's default alignment of dynamic uniform offsets.
const ROW: u64 = 256;

/// A model on a GPU.
#[derive(Debug)]
pub struct GpuSession {
    pub(super) shared: Arc<Shared>,
    arenas: Vec<(String, wgpu::Buffer)>,
    layout: ParameterLayout,
    data: Vec<(Shape, DType, wgpu::Buffer)>,
    pipelines: Vec<(Kernel, Pipeline)>,
    pub(super) programs: Vec<Program>,
    /// Local buffers that programs share.
    pool: Pool,
    pooled: Vec<wgpu::Buffer>,
    spare_staging: Vec<wgpu::Buffer>,
    /// Submissions a step.
    pieces: usize,
    pub(super) traffic: Traffic,
}

#[derive(Debug)]
pub(super) struct Program {
    recording: Recording,
    buffers: Vec<wgpu::Buffer>,
    /// Its steps, a row each.
    rows: wgpu::Buffer,
    /// What runs once a submission.
    prologue: Vec<Encoded>,
    pub(super) dispatches: Vec<Encoded>,
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

#[derive(Debug)]
pub(super) struct Encoded {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    workgroups: [u32; 2],
    /// The group of the plan that its ops are of.
    pub(super) group: usize,
}

impl Encoded {
    /// Puts it into a pass, with the step of this row of the uniform buffer.
    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass<'_>, slot: usize) {
        self.encode_at(pass, &[slot as u32 * ROW as u32]);
    }

    /// Puts it into a pass, with all steps.
    pub(super) fn encode_once(&self, pass: &mut wgpu::ComputePass<'_>) {
        self.encode_at(pass, &[]);
    }

    fn encode_at(&self, pass: &mut wgpu::ComputePass<'_>, offsets: &[u32]) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, offsets);
        pass.dispatch_workgroups(self.workgroups[0], self.workgroups[1], 1);
    }
}

impl GpuSession {
    pub(super) fn new(shared: Arc<Shared>, layout: &ParameterLayout, data: &[Data<'_>]) -> Result<GpuSession> {
        let mut resident = Vec::new();
        let mut traffic = Traffic::default();
        for (index, set) in data.iter().enumerate() {
            let held = set.values.as_bytes();
            let bytes = held.len().next_multiple_of(4) as u64;
            let buffer = storage(&shared, &format!("data set {index}"), bytes, 0)?;
            traffic.bytes_to_device += upload(&shared, &buffer, held);
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
            pieces: 1,
            traffic,
        };
        session.make_arena(PARAMETERS)?;
        session.shared.check()?;
        Ok(session)
    }

    /// The arena of this name; new and all zero where there was none.
    fn make_arena(&mut self, name: &str) -> Result<wgpu::Buffer> {
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

    /// With checks on: an error naming the buffer whose guard words a kernel overwrote.
    pub fn check_guards(&mut self) -> Result<()> {
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

    /// The recording's buffers: the session's, those that programs share, and new ones of its own.
    fn buffers(&mut self, recording: &Recording) -> Result<Vec<wgpu::Buffer>> {
        let guard = if self.shared.options.checks { GUARD } else { 0 };
        let shared = self.shared_buffers(recording)?;
        let mut buffers = Vec::with_capacity(recording.buffers.len());
        for (number, buffer) in recording.buffers.iter().enumerate() {
            let held = match &buffer.role {
                Role::Arena(name) => Some(self.make_arena(name)?),
                Role::Dataset(index) => {
                    let held = self.data.get(*index).filter(|data| data.1 == buffer.dtype);
                    held.map(|data| data.2.clone())
                }
                Role::Metrics | Role::Local | Role::Table => {
                    buffers.push(match shared.iter().find(|(local, _)| *local == number) {
                        Some((_, shared)) => shared.clone(),
                        // Not a number until written, when checks are on.
                        None => {
                            let label = format!("buffer %{number}");
                            storage(&self.shared, &label, buffer.bytes, f32::NAN.to_bits())?
                        }
                    });
                    continue;
                }
            };
            match held {
                Some(held) if held.size() == buffer.bytes + guard => buffers.push(held),
                _ => {
                    let held = held.map_or(0, |held| held.size() - guard);
                    return Err(self.shared.error(format!("{buffer:?} of the program is one of {held} bytes here")));
                }
            }
        }
        Ok(buffers)
    }

    /// The program's local buffers that others share; none with checks on, which are to see what a program leaves unwritten.
    fn shared_buffers(&mut self, recording: &Recording) -> Result<Vec<(usize, wgpu::Buffer)>> {
        if self.shared.options.checks {
            return Ok(Vec::new());
        }
        let locals = recording.shared_locals();
        let sizes: Vec<u64> = locals.iter().map(|&local| recording.buffers[local].bytes).collect();
        let assigned = self.pool.assign(&sizes);
        for (number, &size) in self.pool.sizes().iter().enumerate().skip(self.pooled.len()) {
            self.pooled.push(storage(&self.shared, &format!("shared buffer {number}"), size, 0)?);
        }
        Ok(locals.into_iter().zip(assigned).map(|(local, at)| (local, self.pooled[at].clone())).collect())
    }

    /// The kernel's pipeline, built where no program had it yet.
    fn pipeline(&mut self, kernel: Kernel) -> Result<Pipeline> {
        if let Some((_, pipeline)) = self.pipelines.iter().find(|(known, _)| *known == kernel) {
            return Ok(pipeline.clone());
        }
        let began = Instant::now();
        let pipeline = build(&self.shared, &kernel)?;
        tracing::debug!("built {} in {:.1} ms", kernel.name, began.elapsed().as_secs_f64() * 1e3);
        self.pipelines.push((kernel, pipeline.clone()));
        Ok(pipeline)
    }

    fn encode(
        &mut self,
        recording: &Recording,
        dispatch: &Dispatch,
        (buffers, rows): (&[wgpu::Buffer], &wgpu::Buffer),
        all_steps: bool,
    ) -> Result<Encoded> {
        let shader = &recording.shaders[dispatch.shader];
        let pipeline = self.pipeline(Kernel {
            name: shader.name.clone(),
            source: shader.source.clone(),
            constants: dispatch.constants.clone(),
            writable: dispatch.bindings.iter().map(|binding| binding.writes).collect(),
            all_steps,
            checks: self.shared.options.checks || !shader.trusted,
        })?;
        let bound = |buffer, offset, bytes| {
            wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset,
                size: std::num::NonZeroU64::new(bytes),
            })
        };
        let step = bound(rows, 0, if all_steps { rows.size() } else { size_of::<PackedStep>() as u64 });
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: step }];
        for (at, &Binding { buffer, offset, bytes, .. }) in dispatch.bindings.iter().enumerate() {
            let bytes = match recording.buffers[buffer].role {
                // To the end of its guard words, so that what a kernel writes past its extent is seen there.
                Role::Local | Role::Table if self.shared.options.checks => buffers[buffer].size() - offset,
                _ => bytes,
            };
            let resource = bound(&buffers[buffer], offset, bytes);
            entries.push(wgpu::BindGroupEntry { binding: at as u32 + 1, resource });
        }
        let bind_group = self.shared.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&dispatch.ops.join(" | ")),
            layout: &pipeline.layout,
            entries: &entries,
        });
        let Dispatch { workgroups, group, .. } = *dispatch;
        Ok(Encoded { pipeline: pipeline.pipeline, bind_group, workgroups, group })
    }

    /// Loads a recording, which may come from a file.
    ///
    /// # Errors
    /// [`Error::Device`] where the session's buffers are not those it was made for, or the device refuses it.
    pub fn load_recording(&mut self, recording: Recording) -> Result<ProgramId> {
        let shared = Arc::clone(&self.shared);
        shared.caught(|| {
            let buffers = self.buffers(&recording)?;
            let rows = self.shared.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("steps"),
                size: ROW * MAX_STEPS as u64,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let mut encode = |dispatches: &[Dispatch], all_steps| {
                let one = |dispatch| self.encode(&recording, dispatch, (&buffers, &rows), all_steps);
                dispatches.iter().map(one).collect()
            };
            let prologue: Result<Vec<Encoded>> = encode(&recording.prologue, true);
            let dispatches: Result<Vec<Encoded>> = encode(&recording.dispatches, false);
            let (prologue, dispatches) = (prologue?, dispatches?);
            self.shared.check()?;
            self.programs.push(Program { recording, buffers, rows, prologue, dispatches });
            Ok(ProgramId(self.programs.len() - 1))
        })
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
        self.traffic.submissions += 1;
        let pending = map(staging, len, index);
        let (values, _) = self.wait(pending, len)?;
        Ok(values)
    }

    fn wait<T: bytemuck::Pod>(&mut self, pending: PendingReadback, len: u64) -> Result<(Vec<T>, wgpu::Buffer)> {
        let read = pending.read(&self.shared, len)?;
        self.traffic.bytes_from_device += len;
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
        let mut rows = vec![0_u8; ROW as usize * steps.len()];
        for (slot, (row, step)) in rows.chunks_mut(ROW as usize).zip(steps).enumerate() {
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
        self.traffic.bytes_to_device += bytes.len() as u64;
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
        self.load_recording(recording)
    }

    fn submit(&mut self, programs: &[ProgramId], steps: &[Step]) -> Result<Submission> {
        assert!((1..=MAX_STEPS).contains(&steps.len()), "a submission has 1 to {MAX_STEPS} steps");
        programs.iter().try_for_each(|&program| self.write_rows(program, steps))?;
        let (staging, bytes, rings) = self.staging(programs, steps.len());
        let begin = || self.shared.device.create_command_encoder(&Default::default());
        let mut encoder = begin();
        let once = self.encode_prologues(&mut encoder, programs);
        let a_step = || programs.iter().flat_map(|program| &self.programs[program.0].dispatches);
        let ops: Vec<(usize, &Encoded)> =
            (0..steps.len()).flat_map(|slot| a_step().map(move |dispatch| (slot, dispatch))).collect();
        // All of them, or a part of a step.
        let part = if self.pieces == 1 { ops.len() } else { a_step().count().div_ceil(self.pieces) };
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
        self.traffic.submissions += submissions;
        self.traffic.dispatches += once + ops.len() as u64;
        self.shared.check()?;
        let readback = map(staging, bytes, index);
        Ok(Submission { state: SubmissionState::Gpu(PendingRecord { readback, bytes, steps: steps.len(), rings }) })
    }

    fn split_steps(&mut self, pieces: usize) {
        self.pieces = pieces.max(1);
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
        let buffer = self.arena(name)?;
        self.download(&buffer, 0, 4 * self.layout.len() as u64)
    }

    fn write_data(&mut self, index: usize, values: Values<'_>) -> Result<()> {
        let kinds: Vec<(Shape, DType)> = self.data.iter().map(|(shape, dtype, _)| (*shape, *dtype)).collect();
        check_data(&kinds, index, &values)?;
        self.traffic.bytes_to_device += upload(&self.shared, &self.data[index].2, values.as_bytes());
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

    fn traffic(&self) -> Traffic {
        self.traffic
    }

    fn profile(&mut self, program: ProgramId, step: &Step, repeats: usize) -> Result<Vec<f64>> {
        self.times(program, step, repeats)
    }
}
