//! From a linked kernel to a pipeline: parse once with naga, compare its bindings with the recorded ones, compile.

use super::Shared;
use crate::error::{Error, Result};
use crate::step::PackedStep;
use crate::unchecked;
use std::collections::BTreeMap;
use std::num::NonZeroU64;

/// What a pipeline is built from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PipelineKey {
    /// The files, for messages.
    pub(super) name: String,
    /// The linked WGSL.
    pub(super) source: String,
    /// Values of its `override` constants.
    pub(super) constants: BTreeMap<String, f64>,
    /// For bindings 1, 2, ...: may it be written?
    pub(super) writable: Vec<bool>,
    /// Whether binding 0 is all steps, as a storage buffer, rather than one.
    pub(super) all_steps: bool,
    /// Whether wgpu's bounds and loop checks are injected.
    pub(super) checks: bool,
}

/// Parses a kernel: the module, and for storage bindings 1, 2, ... whether each may be written.
///
/// # Errors
/// [`Error::Graph`] with the kernel's name where it does not parse, or storage bindings are not 1, 2, ... without a gap.
pub fn reflect(name: &str, source: &str) -> Result<(naga::Module, Vec<bool>)> {
    let module = naga::front::wgsl::parse_str(source)
        .map_err(|error| Error::Graph(format!("{name}: {}", error.emit_to_string(source))))?;
    let mut bindings: Vec<(u32, bool)> = module
        .global_variables
        .iter()
        .filter_map(|(_, variable)| match (variable.space, variable.binding) {
            (naga::AddressSpace::Storage { access }, Some(binding)) if binding.binding > 0 => {
                Some((binding.binding, access.contains(naga::StorageAccess::STORE)))
            }
            _ => None,
        })
        .collect();
    bindings.sort_unstable();
    if bindings.iter().enumerate().any(|(i, &(binding, _))| binding as usize != i + 1) {
        return Err(Error::Graph(format!("{name}: storage bindings are {bindings:?}: they must be 1, 2, ...")));
    }
    Ok((module, bindings.into_iter().map(|(_, writable)| writable).collect()))
}

/// The least bytes that a kernel's variable at a binding takes: a layout that says so spares wgpu comparing sizes at each
/// dispatch.
fn least_bytes(module: &naga::Module, at: u32) -> Option<NonZeroU64> {
    let bound = |variable: &naga::GlobalVariable| variable.binding.is_some_and(|binding| binding.binding == at);
    let (_, variable) = module.global_variables.iter().find(|(_, variable)| bound(variable))?;
    NonZeroU64::new(module.types[variable.ty].inner.size(module.to_ctx()).into())
}

/// A kernel ready to dispatch.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

/// Compiles a kernel.
pub(super) fn build(shared: &Shared, key: &PipelineKey) -> Result<Pipeline> {
    let PipelineKey { name, source, constants, writable, all_steps, checks } = key;
    let (module, found) = reflect(name, source)?;
    if found != *writable {
        return Err(Error::Graph(format!(
            "{name}: it writes bindings {found:?} of 1, 2, ...: its ops write {writable:?}"
        )));
    }
    // Of a kernel that reads no step too.
    let a_step = NonZeroU64::new(size_of::<PackedStep>() as u64);
    let least: Vec<Option<NonZeroU64>> =
        (0..=writable.len() as u32).map(|at| least_bytes(&module, at).or(a_step.filter(|_| at == 0))).collect();
    let device = &shared.device;
    let label = Some(name.as_str());
    let constants: Vec<(&str, f64)> = constants.iter().map(|(name, &value)| (name.as_str(), value)).collect();
    let descriptor =
        wgpu::ShaderModuleDescriptor { label, source: wgpu::ShaderSource::Naga(std::borrow::Cow::Owned(module)) };
    let module = match checks {
        true => device.create_shader_module(descriptor),
        false => unchecked::trusted_module(device, descriptor),
    };
    let step = wgpu::BindGroupLayoutEntry {
        binding: 0,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: match all_steps {
                true => wgpu::BufferBindingType::Storage { read_only: true },
                false => wgpu::BufferBindingType::Uniform,
            },
            has_dynamic_offset: !all_steps,
            min_binding_size: least[0],
        },
        count: None,
    };
    let storage = writable.iter().enumerate().map(|(i, &writable)| wgpu::BindGroupLayoutEntry {
        binding: i as u32 + 1,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only: !writable },
            has_dynamic_offset: false,
            min_binding_size: least[i + 1],
        },
        count: None,
    });
    let entries: Vec<wgpu::BindGroupLayoutEntry> = std::iter::once(step).chain(storage).collect();
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label,
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label,
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &constants,
            zero_initialize_workgroup_memory: *checks,
        },
        cache: shared.pipelines.as_ref().map(|pipelines| &pipelines.cache),
    });
    shared.check()?;
    Ok(Pipeline { pipeline, layout })
}
