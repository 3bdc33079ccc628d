//! Every kernel that DX12 may be given, as HLSL: of shader model 6.2 for DXC, and of 5.1 for FXC, which wgpu uses where there is
//! no `dxcompiler.dll`, and which is given no kernel with subgroups (`wgpu::Features::SUBGROUP` needs model 6.0).

use std::path::Path;

use naga::back::hlsl::{BindTarget, Options, PipelineOptions, ShaderModel, Writer};
use naga::back::pipeline_constants::process_overrides;
use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{ResourceBinding, ShaderStage};
use serde_json::{Value, json};
use vae_gpu::backend::gpu::reflect;

use crate::Result;
use crate::every::{Kernel, on_dx12};

/// Writes `NUMBER.hlsl` and `NUMBER.5_1.hlsl`; what `kernels.json` says of them.
pub(crate) fn write(folder: &Path) -> Result<Vec<Value>> {
    let mut written = Vec::new();
    for (number, kernel) in on_dx12()?.iter().enumerate() {
        let mut files = vec![("dxc", "cs_6_2", ShaderModel::V6_2)];
        if !kernel.has_subgroups() {
            files.push(("fxc", "cs_5_1", ShaderModel::V5_1));
        }
        let mut entry = json!({ "name": kernel.name, "constants": kernel.constants });
        for (compiler, profile, model) in files {
            let file = format!("{number:04}.{compiler}.hlsl");
            let (text, main) = translate(kernel, model)?;
            std::fs::write(folder.join(&file), text)?;
            entry[compiler] = json!({ "file": file, "profile": profile, "entry": main });
        }
        written.push(entry);
    }
    Ok(written)
}

/// HLSL as wgpu 30 makes it of a trusted module (`src/unchecked.rs`), and its entry point: without bounds checks, bounded loops and
/// zeroed workgroup memory, and with the registers of wgpu's root signature.
fn translate(kernel: &Kernel, shader_model: ShaderModel) -> Result<(String, String)> {
    let (module, _) = reflect(&kernel.name, &kernel.source)?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module)?;
    let main = (ShaderStage::Compute, "main");
    let constants = kernel.constants.clone().into_iter().collect();
    let (module, info) = process_overrides(&module, &info, Some(main), &constants)?;
    // Registers are counted apart of what is read and what may be written; the step is a constant buffer, or read as all steps.
    let mut next = [0, 0];
    let mut target = |writes: bool| {
        let register = next[usize::from(writes)];
        next[usize::from(writes)] += 1;
        BindTarget { register, ..BindTarget::default() }
    };
    let step =
        if kernel.once { target(false) } else { BindTarget { restrict_indexing: true, ..BindTarget::default() } };
    let storage = kernel.writes.iter().map(|&writes| target(writes)).collect::<Vec<_>>();
    let targets = std::iter::once(step).chain(storage);
    let binding_map =
        (0..).zip(targets).map(|(binding, target)| (ResourceBinding { group: 0, binding }, target)).collect();
    let options = Options {
        shader_model,
        binding_map,
        fake_missing_bindings: false,
        zero_initialize_workgroup_memory: false,
        restrict_indexing: false,
        force_loop_bounding: false,
        ..Options::default()
    };
    let mut text = String::new();
    let pipeline = PipelineOptions { entry_point: Some((main.0, main.1.to_owned())) };
    let mut reflected = Writer::new(&mut text, &options, &pipeline).write(&module, &info, None)?;
    let main = reflected.entry_point_names.pop().ok_or("a kernel has an entry point")??;
    Ok((text, main))
}
