//! One model on a GPU: its buffers, its programs, and submissions of them. A program is a [`Recording`], executed as it is:
//! nothing is chosen here.
//!
//! Steps are rows of one uniform buffer, written once a submission; a step's dispatches bind its row by dynamic offset. What
//! steps record lands in the metrics ring, which each submission copies to a staging buffer of its own that is mapped
//! asynchronously while the next submission runs.

use super::buffers::{GUARD, GUARD_WORD, PendingReadback, map, staging, storage, upload};
use super::kernel::{Kernel, Pipeline, build};
use super::*;
use crate::plan::lower_changed;
use crate::plan::recording::{Binding, Dispatch, Port, Recording, Role};
use crate::step::PackedStep;
use std::time::Instant;

/// Bytes from one step's row to the next: WebGPU's default alignment of dynamic uniform offsets.
const ROW: u64 = 256;
const RING_BYTES: u64 = (MAX_STEPS * METRICS * 4) as u64;
/// A model on a GPU.
#[derive(Debug)]
pub struct GpuSession {
    pub(super) shared: Arc<Shared>,
    arenas: [wgpu::Buffer; 4],
    layout: ParameterLayout,
    metrics: wgpu::Buffer,
    rows: wgpu::Buffer,
    data: Vec<(Shape, DType, wgpu::Buffer)>,
    pipelines: Vec<(Kernel, Pipeline)>,
    pub(super) programs: Vec<Program>,
    spare_staging: Vec<wgpu::Buffer>,
    /// Submissions a step.
    pieces: usize,
    pub(super) traffic: Traffic,
}

#[derive(Debug)]
pub(super) struct Program {
    recording: Recording,
    buffers: Vec<wgpu::Buffer>,
    /// What runs once a submission.
    prologue: Vec<Encoded>,
    pub(super) dispatches: Vec<Encoded>,
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
        let arena_bytes = 4 * layout.len().max(1) as u64;
        let mut arenas = Vec::new();
        for arena in Arena::ALL {
            arenas.push(storage(&shared, &format!("{arena:?}"), arena_bytes, 0)?);
        }
        let Ok(arenas) = <[wgpu::Buffer; 4]>::try_from(arenas) else { unreachable!("four arenas were made") };
        let mut resident = Vec::new();
        let mut traffic = Traffic::default();
        for (index, set) in data.iter().enumerate() {
            let held = set.values.as_bytes();
            let bytes = held.len().next_multiple_of(4) as u64;
            let buffer = storage(&shared, &format!("data set {index}"), bytes, 0)?;
            traffic.bytes_to_device += upload(&shared, &buffer, held);
            resident.push((set.shape, set.dtype(), buffer));
        }
        let rows = shared.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("steps"),
            size: ROW * MAX_STEPS as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let metrics = storage(&shared, "metrics", RING_BYTES, 0)?;
        shared.check()?;
        Ok(GpuSession {
            shared,
            arenas,
            layout: layout.clone(),
            metrics,
            rows,
            data: resident,
            pipelines: Vec::new(),
            programs: Vec::new(),
            spare_staging: Vec::new(),
            pieces: 1,
            traffic,
        })
    }

    /// With checks on: an error naming the buffer whose guard words a kernel overwrote.
    pub fn check_guards(&mut self) -> Result<()> {
        if !self.shared.options.checks {
            return Ok(());
        }
        let arenas = self.arenas.iter().zip(Arena::ALL.map(|arena| format!("{arena:?}")));
        let mut buffers: Vec<(String, wgpu::Buffer)> = arenas.map(|(buffer, name)| (name, buffer.clone())).collect();
        buffers.push(("metrics".to_owned(), self.metrics.clone()));
        for (p, program) in self.programs.iter().enumerate() {
            let own = program.recording.buffers.iter().zip(&program.buffers).enumerate();
            let own = own.filter(|(_, (buffer, _))| matches!(buffer.role, Role::Local | Role::Table));
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

    /// The recording's buffers: the session's, and new ones of its own.
    fn buffers(&self, recording: &Recording) -> Result<Vec<wgpu::Buffer>> {
        let mut buffers = Vec::with_capacity(recording.buffers.len());
        for (number, buffer) in recording.buffers.iter().enumerate() {
            let shared = match buffer.role {
                Role::Arena(arena) => Some(&self.arenas[arena as usize]),
                Role::Metrics => Some(&self.metrics),
                Role::Dataset(index) => self.data.get(index).filter(|data| data.1 == buffer.dtype).map(|data| &data.2),
                // Not a number until written, when checks are on.
                Role::Local | Role::Table => {
                    let label = format!("buffer %{number}");
                    buffers.push(storage(&self.shared, &label, buffer.bytes, f32::NAN.to_bits())?);
                    continue;
                }
            };
            let guard = if self.shared.options.checks { GUARD } else { 0 };
            match shared {
                Some(held) if held.size() == buffer.bytes + guard => buffers.push(held.clone()),
                _ => {
                    let held = shared.map_or(0, |held| held.size() - guard);
                    return Err(self.shared.error(format!("{buffer:?} of the program is one of {held} bytes here")));
                }
            }
        }
        Ok(buffers)
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
        buffers: &[wgpu::Buffer],
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
        let step = bound(&self.rows, 0, if all_steps { self.rows.size() } else { size_of::<PackedStep>() as u64 });
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
            let mut encode = |dispatches: &[Dispatch], all_steps| {
                dispatches.iter().map(|dispatch| self.encode(&recording, dispatch, &buffers, all_steps)).collect()
            };
            let prologue: Result<Vec<Encoded>> = encode(&recording.prologue, true);
            let dispatches: Result<Vec<Encoded>> = encode(&recording.dispatches, false);
            let (prologue, dispatches) = (prologue?, dispatches?);
            self.shared.check()?;
            self.programs.push(Program { recording, buffers, prologue, dispatches });
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

    /// Steps to the uniform buffer, one a row.
    pub(super) fn write_rows(&mut self, steps: &[Step]) {
        let mut rows = vec![0_u8; ROW as usize * steps.len()];
        for (slot, (row, step)) in rows.chunks_mut(ROW as usize).zip(steps).enumerate() {
            let packed = Step { slot: slot as u32, ..*step }.pack();
            row[..size_of::<PackedStep>()].copy_from_slice(bytemuck::bytes_of(&packed));
        }
        let row_buffer = self.rows.clone();
        self.upload(&row_buffer, 0, &rows);
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
        self.write_rows(steps);
        let begin = || self.shared.device.create_command_encoder(&Default::default());
        let mut encoder = begin();
        let bytes = (steps.len() * METRICS * 4) as u64;
        encoder.clear_buffer(&self.metrics, 0, Some(bytes));
        self.traffic.dispatches += self.encode_prologues(&mut encoder, programs);
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
        let staging = self.spare_staging.pop().unwrap_or_else(|| staging(&self.shared, RING_BYTES));
        encoder.copy_buffer_to_buffer(&self.metrics, 0, &staging, 0, bytes);
        let index = self.shared.queue.submit([encoder.finish()]);
        self.traffic.submissions += submissions;
        self.traffic.dispatches += ops.len() as u64;
        self.shared.check()?;
        Ok(Submission { steps: steps.len(), state: SubmissionState::Gpu(map(staging, bytes, index)) })
    }

    fn split_steps(&mut self, pieces: usize) {
        self.pieces = pieces.max(1);
    }

    fn finish(&mut self, submission: Submission) -> Result<Vec<Metrics>> {
        let pending = match submission.state {
            SubmissionState::Gpu(pending) => pending,
            SubmissionState::Done(_) => return Err(self.shared.error("was given another device's submission")),
        };
        let (values, staging) = self.wait::<f32>(pending, (submission.steps * METRICS * 4) as u64)?;
        self.spare_staging.push(staging);
        Ok(values.chunks(METRICS).map(|row| std::array::from_fn(|i| f64::from(row[i]))).collect())
    }

    fn write_arena(&mut self, arena: Arena, values: &[f32]) -> Result<()> {
        check_len("arena", values.len(), self.layout.len())?;
        let mut values = values.to_vec();
        self.layout.clear_padding(&mut values);
        let buffer = self.arenas[arena as usize].clone();
        self.upload(&buffer, 0, bytemuck::cast_slice(&values));
        Ok(())
    }

    fn read_arena(&mut self, arena: Arena) -> Result<Vec<f32>> {
        let buffer = self.arenas[arena as usize].clone();
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
