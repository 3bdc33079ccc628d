//! From an op's [`Kernel`] to a pipeline: link the fragments, parse once with naga, reflect the bindings.

use super::Shared;
use crate::error::{Error, Result};
use crate::ops::Kernel;
use crate::unchecked;

/// A linked kernel: the module, and whether each storage binding from 1 on is written.
#[derive(Clone, Debug)]
pub struct Linked {
    /// The joined WGSL.
    pub source: String,
    /// What naga parsed.
    pub module: naga::Module,
    /// For bindings 1, 2, ...: is it `read_write`?
    pub writable: Vec<bool>,
}

/// Joins a kernel's fragments and reflects the result.
///
/// # Errors
/// [`Error::Graph`] naming the fragments where they do not parse, or storage bindings are not 1, 2, ... without a gap.
pub fn link(kernel: &Kernel) -> Result<Linked> {
    let names: Vec<&str> = kernel.fragments.iter().map(|fragment| fragment.name).collect();
    let names = names.join(" + ");
    let source = kernel.fragments.iter().map(|fragment| fragment.source).collect::<Vec<_>>().join("\n");
    let module = naga::front::wgsl::parse_str(&source)
        .map_err(|error| Error::Graph(format!("{names}: {}", error.emit_to_string(&source))))?;
    let mut bindings: Vec<(u32, bool)> = module
        .global_variables
        .iter()
        .filter_map(|(_, variable)| match (variable.space, variable.binding) {
            (naga::AddressSpace::Storage { access }, Some(binding)) => {
                Some((binding.binding, access.contains(naga::StorageAccess::STORE)))
            }
            _ => None,
        })
        .collect();
    bindings.sort_unstable();
    if bindings.iter().enumerate().any(|(i, &(binding, _))| binding as usize != i + 1) {
        return Err(Error::Graph(format!("{names}: storage bindings are {bindings:?}: they must be 1, 2, ...")));
    }
    Ok(Linked { source, module, writable: bindings.into_iter().map(|(_, writable)| writable).collect() })
}

/// A kernel ready to dispatch.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

/// Compiles a kernel, with wgpu's injected bounds and loop checks where `checks` says so.
pub(super) fn build(shared: &Shared, kernel: &Kernel, checks: bool) -> Result<Pipeline> {
    let Linked { module, writable, .. } = link(kernel)?;
    let device = &shared.device;
    let label = kernel.fragments.first().map(|fragment| fragment.name);
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
            ty: wgpu::BufferBindingType::Uniform,
            has_dynamic_offset: true,
            min_binding_size: None,
        },
        count: None,
    };
    let storage = writable.iter().enumerate().map(|(i, &writable)| wgpu::BindGroupLayoutEntry {
        binding: i as u32 + 1,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only: !writable },
            has_dynamic_offset: false,
            min_binding_size: None,
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
            constants: &kernel.constants,
            zero_initialize_workgroup_memory: checks,
        },
        cache: shared.pipelines.as_ref().map(|pipelines| &pipelines.cache),
    });
    shared.check()?;
    Ok(Pipeline { pipeline, layout })
}
