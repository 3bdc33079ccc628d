//! GEMM kernels as SPIR-V, as wgpu hands them to a Vulkan driver, for `run.py` beside this file: every algorithm at five
//! products (`tiled-forward.spv`), what the rule chooses for hardware on the works of `vae-gpu bench`
//! (`chosen-apple-conv-64-03-split.spv`), and a reduction by either of the ways to add (`sums-tree.spv`, `sums-subgroups.spv`).

use std::collections::BTreeMap;
use std::path::Path;

use naga::back::{pipeline_constants::process_overrides, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use serde_json::{Value, json};
use vae_gpu::backend::gpu::reflect;
use vae_gpu::graph::Graph;
use vae_gpu::ops::{
    Activation, AdapterClass, Algorithm, BceLogits, Case, Conv2d, DeviceProfile, Epilogue, Fill, Matmul, Subgroups,
    Transpose, TuningTable, Window2d,
};
use vae_gpu::plan::{Fusion, Options, Recording, compile, lower};
use vae_gpu::tensor::Shape;
use vae_gpu::train::bench::{WORKLOADS, work_plans};

use crate::Result;

/// Writes them; what `kernels.json` says of each.
pub(crate) fn write(folder: &Path) -> Result<Vec<Value>> {
    Ok([by_algorithm(folder)?, chosen(folder)?, reductions(folder)?].concat())
}

/// Classes of hardware.
const CLASSES: [AdapterClass; 3] = [AdapterClass::Wide, AdapterClass::Apple, AdapterClass::Intel];

/// A GPU that binds as many storage buffers a dispatch as most do, and as many as we ask for; its subgroups add.
fn hardware(class: AdapterClass) -> DeviceProfile {
    DeviceProfile { storage_buffers: 16, subgroups: Subgroups::OfAnySize, ..DeviceProfile::new(class) }
}

/// Products of the standard model and of a wide one, and a convolution: conv-64's second, of images of 32x32.
fn products() -> [(&'static str, Case); 5] {
    let case = |epilogue, transpose, inputs: &[Shape]| {
        let inputs: Vec<(Shape, Fill)> = inputs.iter().map(|&shape| (shape, Fill::Normal)).collect();
        Case::new(Matmul { epilogue, ..Matmul::new(transpose) }, 1, &inputs)
    };
    let bias = Epilogue::BiasActivation(Activation::Relu);
    let slope = Epilogue::ActivationGradient(Activation::Relu);
    let [images, filters] = [Shape::of([64, 32, 32, 32]), Shape::of([64, 4, 4, 32])];
    let convolution = Conv2d { epilogue: bias, ..Conv2d::new(Window2d::new(4).stride(2).padding(1)) };
    let inputs = [images, filters, Shape::of([64])].map(|shape| (shape, Fill::Normal));
    [
        ("forward", case(bias, Transpose::B, &[Shape::new(128, 784), Shape::new(400, 784), Shape::of([400])])),
        ("input", case(slope, Transpose::Neither, &[Shape::new(128, 784), Shape::new(784, 400), Shape::new(128, 400)])),
        ("weight", case(Epilogue::Store, Transpose::A, &[Shape::new(128, 400), Shape::new(128, 784)])),
        ("wide", case(bias, Transpose::B, &[Shape::new(1024, 784), Shape::new(2048, 784), Shape::of([2048])])),
        ("conv", Case::new(convolution, 1, &inputs)),
    ]
}

/// Each algorithm that hardware can run, at each of the products.
fn by_algorithm(folder: &Path) -> Result<Vec<Value>> {
    let mut written = Vec::new();
    for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| algorithm.runs_on(&hardware(AdapterClass::Wide))) {
        for (product, case) in products() {
            let shapes: Vec<Shape> = case.inputs.iter().map(|(shape, _)| *shape).collect();
            let size = case.op.tuned_as(&shapes).ok_or("each case is a product")?;
            let profile =
                DeviceProfile { tuning: TuningTable::from([(size, algorithm)]), ..hardware(AdapterClass::Wide) };
            let (graph, _, _) = Graph::of_case(&case)?;
            let recording = lower(&compile(&graph, Options::new(Fusion::None))?, &profile)?;
            let name = format!("{}-{product}", algorithm.name());
            written.push(write_kernel(folder, &name, &CLASSES, &recording, 0)?);
        }
    }
    Ok(written)
}

/// Products of the works' training steps, by the algorithms that the rule chooses for a class of adapters; a kernel that two
/// works share, once.
fn chosen(folder: &Path) -> Result<Vec<Value>> {
    let mut written = Vec::new();
    for class in CLASSES {
        let mut seen: Vec<(String, BTreeMap<String, f64>)> = Vec::new();
        for work in &WORKLOADS {
            let plans = |half| work_plans(work, &work.dataset()?, Options { half, ..Options::new(Fusion::All) });
            let mut number = 0;
            for plan in plans(false)?.1.into_iter().chain(plans(true)?.1) {
                let recording = lower(&plan, &hardware(class))?;
                for (at, dispatch) in recording.dispatches.iter().enumerate() {
                    let shader = &recording.shaders[dispatch.shader];
                    let key = (shader.source.clone(), dispatch.constants.clone());
                    if !shader.name.contains("gemm/") || seen.contains(&key) {
                        continue;
                    }
                    seen.push(key);
                    number += 1;
                    let (of, algorithms) = (format!("{class:?}").to_lowercase(), algorithms(&shader.name));
                    let name = format!("chosen-{of}-{}-{number:02}-{algorithms}", work.name);
                    written.push(write_kernel(folder, &name, &[class], &recording, at)?);
                }
            }
        }
    }
    Ok(written)
}

/// A loss of 128 images of 784 pixels, a row a workgroup.
fn reductions(folder: &Path) -> Result<Vec<Value>> {
    let case = Case::new(BceLogits, 1, &[([128, 784], Fill::Normal), ([128, 784], Fill::Unit)]);
    let plan = compile(&Graph::of_case(&case)?.0, Options::new(Fusion::None))?;
    let by = |(name, subgroups): (&str, Subgroups)| {
        let profile = DeviceProfile { subgroups, ..hardware(AdapterClass::Wide) };
        write_kernel(folder, name, &CLASSES, &lower(&plan, &profile)?, 0)
    };
    [("sums-tree", Subgroups::None), ("sums-subgroups", Subgroups::OfAnySize)].into_iter().map(by).collect()
}

/// The kernels that share a dispatch, by their first files and thread tiles, where they belong to a GEMM:
/// `split-4x4+tiled-8x8`.
fn algorithms(files: &str) -> String {
    let name = |kernel: &str| -> Option<String> {
        let first = kernel.split(" + ").next()?.strip_prefix("gemm/")?.trim_end_matches(".wgsl");
        let tile = kernel.split("gemm/thread_").nth(1).and_then(|rest| rest.split(".wgsl").next());
        Some(tile.map_or(first.to_owned(), |tile| format!("{first}-{tile}")))
    };
    files.split(" | ").filter_map(name).collect::<Vec<_>>().join("+")
}

/// Writes the kernel of a dispatch; what `kernels.json` says of it.
fn write_kernel(
    folder: &Path,
    name: &str,
    classes: &[AdapterClass],
    recording: &Recording,
    at: usize,
) -> Result<Value> {
    let dispatch = &recording.dispatches[at];
    let shader = &recording.shaders[dispatch.shader];
    let words = translate(&shader.name, &shader.source, &dispatch.constants)?;
    let file = format!("{name}.spv");
    std::fs::write(folder.join(&file), bytemuck::cast_slice::<u32, u8>(&words))?;
    let [x, y] = dispatch.workgroups;
    let adapters: Vec<String> = classes.iter().map(|class| format!("{class:?}")).collect();
    Ok(json!({
        "file": file, "adapters": adapters, "ops": dispatch.ops, "files": shader.name, "constants": dispatch.constants, "workgroups": x * y,
    }))
}

/// SPIR-V as wgpu 30 makes it of a trusted module (`src/unchecked.rs`): no bounds, loop or division checks, and workgroup
/// memory as it was. The version is what it asks of drivers of Vulkan 1.3.
fn translate(name: &str, source: &str, constants: &BTreeMap<String, f64>) -> Result<Vec<u32>> {
    let (module, _) = reflect(name, source)?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module)?;
    let entry = (naga::ShaderStage::Compute, "main");
    let constants = constants.clone().into_iter().collect();
    let (module, info) = process_overrides(&module, &info, Some(entry), &constants)?;
    let unchecked = BoundsCheckPolicy::Unchecked;
    let options = spv::Options {
        lang_version: (1, 6),
        bounds_check_policies: BoundsCheckPolicies {
            index: unchecked,
            buffer: unchecked,
            image_load: unchecked,
            binding_array: unchecked,
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        emit_int_div_checks: false,
        ..spv::Options::default()
    };
    let entry = spv::PipelineOptions { shader_stage: entry.0, entry_point: entry.1.to_owned() };
    Ok(spv::write_vec(&module, &info, &options, Some(&entry))?)
}
