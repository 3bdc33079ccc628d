//! Programs of a session: a recording becomes buffers, pipelines and bind groups once, and is then only encoded.

use super::buffers::{GUARD, storage};
use super::kernel::{Pipeline, PipelineKey, build};
use super::*;
use crate::plan::recording::{Binding, Dispatch, Recording, Role};
use crate::step::{PackedStep, ROW_BYTES};
use std::time::Instant;

/// A recording on a device.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) recording: Recording,
    pub(super) buffers: Vec<wgpu::Buffer>,
    /// Its steps, a row each.
    pub(super) rows: wgpu::Buffer,
    /// What runs once a submission.
    pub(super) prologue: Vec<Encoded>,
    pub(super) dispatches: Vec<Encoded>,
}

/// A dispatch, ready to be put into a pass.
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
        self.encode_at(pass, &[slot as u32 * ROW_BYTES as u32]);
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
    fn pipeline(&mut self, kernel: PipelineKey) -> Result<Pipeline> {
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
        let pipeline = self.pipeline(PipelineKey {
            name: shader.name.clone(),
            source: shader.source.clone(),
            constants: dispatch.constants.clone(),
            writable: dispatch.bindings.iter().map(|binding| binding.writes).collect(),
            all_steps,
            checks: self.shared.options.checks || self.shared.options.fault.is_some() || !shader.is_trusted(),
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

    /// Loads a recording, which may come from a file: its kernels run with injected bounds checks.
    ///
    /// # Errors
    /// [`Error::Graph`] where it does not fit itself, [`Error::Device`] where the session's buffers are not those it was made
    /// for, or the device refuses it.
    pub fn load_recording(&mut self, recording: Recording) -> Result<ProgramId> {
        recording.check()?;
        self.load_lowered(recording.distrusted())
    }

    /// Loads what was lowered here. Where that fails, the session is as it was.
    pub(super) fn load_lowered(&mut self, recording: Recording) -> Result<ProgramId> {
        let before = (self.pool.clone(), self.pooled.len(), self.arenas.len(), self.pipelines.len());
        let loaded = self.try_load(recording);
        if loaded.is_err() {
            let (pool, pooled, arenas, pipelines) = before;
            self.pool = pool;
            self.pooled.truncate(pooled);
            self.arenas.truncate(arenas);
            self.pipelines.truncate(pipelines);
        }
        loaded
    }

    fn try_load(&mut self, recording: Recording) -> Result<ProgramId> {
        let shared = Arc::clone(&self.shared);
        shared.caught(|| {
            let buffers = self.buffers(&recording)?;
            let rows = self.shared.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("steps"),
                size: ROW_BYTES * MAX_STEPS as u64,
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
}
