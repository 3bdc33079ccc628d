//! One model on a GPU: its buffers, its programs, and submissions of them.
//!
//! Steps are rows of one uniform buffer, written once a submission; a step's dispatches bind its row by dynamic offset. What
//! steps record lands in the metrics ring, which each submission copies to a staging buffer of its own that is mapped
//! asynchronously while the next submission runs.

use super::buffers::{GUARD, GUARD_WORD, PendingReadback, map, staging, storage, upload};
use super::kernel::{Pipeline, build};
use super::*;
use crate::ops::Op;
use crate::plan::{Dispatch, Place};
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
    /// By kernel, and whether it was compiled with checks.
    pipelines: Vec<(crate::ops::Kernel, bool, Pipeline)>,
    pub(super) programs: Vec<Program>,
    spare_staging: Vec<wgpu::Buffer>,
    /// Submissions a step.
    pieces: usize,
    pub(super) traffic: Traffic,
}

#[derive(Debug)]
pub(super) struct Program {
    plan: Plan,
    locals: Vec<wgpu::Buffer>,
    pub(super) dispatches: Vec<Encoded>,
}

#[derive(Debug)]
pub(super) struct Encoded {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    groups: [u32; 2],
}

impl Encoded {
    /// Puts it into a pass, with the step of this row of the uniform buffer.
    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass<'_>, slot: usize) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[slot as u32 * ROW as u32]);
        pass.dispatch_workgroups(self.groups[0], self.groups[1], 1);
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
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
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
            let locals = program.locals.iter().enumerate();
            buffers.extend(locals.map(|(i, buffer)| (format!("program {p} local %{i}"), buffer.clone())));
        }
        for (name, buffer) in buffers {
            let words: Vec<u32> = self.download(&buffer, buffer.size() - GUARD, GUARD)?;
            if let Some(at) = words.iter().position(|&word| word != GUARD_WORD) {
                return Err(self.shared.error(format!("{name}: a kernel wrote {at} words past its end")));
            }
        }
        Ok(())
    }

    fn buffer(&self, locals: &[wgpu::Buffer], place: Place) -> wgpu::Buffer {
        match place {
            Place::Arena(arena) => &self.arenas[arena as usize],
            Place::Metrics => &self.metrics,
            Place::Dataset(index) => &self.data[index].2,
            Place::Local(local) => &locals[local],
        }
        .clone()
    }

    fn encode(&mut self, dispatch: &Dispatch, locals: &[wgpu::Buffer]) -> Result<Encoded> {
        let shapes: Vec<Shape> = dispatch.inputs.iter().map(|slice| slice.shape).collect();
        let output = dispatch.outputs[0].shape;
        let mut kernel = dispatch.op.kernel(&shapes, output, &self.shared.profile);
        if let Some(fault) = self.shared.options.fault {
            fault(&mut kernel);
        }
        // Nothing is known of how another crate's kernels make their indices.
        let checks = self.shared.options.checks || matches!(dispatch.op, Op::Custom(_));
        let built = match self.pipelines.iter().find(|(known, with, _)| (known, with) == (&kernel, &checks)) {
            Some((_, _, pipeline)) => pipeline.clone(),
            None => {
                let began = Instant::now();
                let pipeline = build(&self.shared, &kernel, checks)?;
                let name = kernel.fragments.first().map_or("", |fragment| fragment.name);
                tracing::debug!("built {name} in {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
                self.pipelines.push((kernel.clone(), checks, pipeline.clone()));
                pipeline
            }
        };
        let slices: Vec<Slice> = dispatch.inputs.iter().chain(&dispatch.outputs).copied().collect();
        let buffers: Vec<wgpu::Buffer> = slices.iter().map(|slice| self.buffer(locals, slice.place)).collect();
        let mut entries = vec![wgpu::BindGroupEntry {
            binding: 0,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &self.rows,
                offset: 0,
                size: std::num::NonZeroU64::new(size_of::<PackedStep>() as u64),
            }),
        }];
        for (i, (slice, buffer)) in slices.iter().zip(&buffers).enumerate() {
            let bytes = match slice.place {
                Place::Dataset(index) if self.data[index].1 == DType::U8 => {
                    slice.shape.len().next_multiple_of(4) as u64
                }
                Place::Metrics => buffer.size(),
                // To the end of its guard words, so that what a kernel writes past its extent is seen there.
                Place::Local(_) if self.shared.options.checks => buffer.size() - 4 * slice.offset as u64,
                _ => 4 * slice.shape.len() as u64,
            };
            entries.push(wgpu::BindGroupEntry {
                binding: i as u32 + 1,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer,
                    offset: 4 * slice.offset as u64,
                    size: std::num::NonZeroU64::new(bytes),
                }),
            });
        }
        let bind_group = self.shared.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(dispatch.op.name()),
            layout: &built.layout,
            entries: &entries,
        });
        // The twin of shaders/common/grid.wgsl.
        let across = kernel.groups.clamp(1, 65_535);
        let groups = [across as u32, kernel.groups.div_ceil(across) as u32];
        Ok(Encoded { pipeline: built.pipeline, bind_group, groups })
    }

    fn load_plan(&mut self, plan: Plan) -> Result<ProgramId> {
        let held: Vec<(Shape, DType)> = self.data.iter().map(|&(shape, dtype, _)| (shape, dtype)).collect();
        check_datasets(&plan, &held)?;
        check_len("the plan's arenas", plan.layout.len(), self.layout.len())?;
        let mut locals = Vec::new();
        for (i, &len) in plan.locals.iter().enumerate() {
            // Not a number until written, when checks are on.
            locals.push(storage(&self.shared, &format!("local %{i}"), 4 * len as u64, f32::NAN.to_bits())?);
        }
        let mut dispatches = Vec::new();
        for dispatch in &plan.dispatches {
            dispatches.push(self.encode(dispatch, &locals)?);
        }
        self.shared.check()?;
        self.programs.push(Program { plan, locals, dispatches });
        Ok(ProgramId(self.programs.len() - 1))
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
        let shared = Arc::clone(&self.shared);
        shared.caught(|| self.load_plan(plan))
    }

    fn submit(&mut self, programs: &[ProgramId], steps: &[Step]) -> Result<Submission> {
        assert!((1..=MAX_STEPS).contains(&steps.len()), "a submission has 1 to {MAX_STEPS} steps");
        self.write_rows(steps);
        let begin = || self.shared.device.create_command_encoder(&Default::default());
        let mut encoder = begin();
        let bytes = (steps.len() * METRICS * 4) as u64;
        encoder.clear_buffer(&self.metrics, 0, Some(bytes));
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
        let held = &self.programs[program.0];
        let slice = named(&held.plan.inputs, name)?;
        check_len(name, values.len(), slice.shape.len())?;
        let buffer = self.buffer(&held.locals, slice.place);
        self.upload(&buffer, 4 * slice.offset as u64, bytemuck::cast_slice(values));
        Ok(())
    }

    fn read_output(&mut self, program: ProgramId, name: &str) -> Result<Vec<f32>> {
        let held = &self.programs[program.0];
        let slice = named(&held.plan.outputs, name)?;
        let buffer = self.buffer(&held.locals, slice.place);
        self.download(&buffer, 4 * slice.offset as u64, 4 * slice.shape.len() as u64)
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }

    fn profile(&mut self, program: ProgramId, step: &Step, repeats: usize) -> Result<Vec<f64>> {
        self.times(program, step, repeats)
    }
}
