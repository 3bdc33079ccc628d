//! Every kernel that a profile may be given: each op's cases, products by each algorithm, and the training steps of all presets
//! and workloads, fused and not.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};
use vae_gpu::config::{PRESETS, TrainConfig};
use vae_gpu::conformance::plan_in_half;
use vae_gpu::data::{Dataset, ImageSize};
use vae_gpu::graph::Graph;
use vae_gpu::ops::{AdapterClass, Algorithm, DeviceProfile, Op, STORAGE_BUFFERS, Subgroups};
use vae_gpu::plan::recording::{Dispatch, Recording, Shader};
use vae_gpu::plan::{Fusion, Options, Plan, compile, lower};
use vae_gpu::tensor::Shape;
use vae_gpu::train::bench::{WORKLOADS, plans, work_plans};

use crate::Result;

/// A kernel, as a dispatch runs it.
pub(crate) struct Kernel {
    /// The files that it was linked from.
    pub(crate) name: String,
    /// Linked WGSL.
    pub(crate) source: String,
    /// Values of its `override` constants.
    pub(crate) constants: BTreeMap<String, f64>,
    /// For bindings 1, 2, ...: whether it may write them.
    pub(crate) writes: Vec<bool>,
    /// Whether it runs once a submission.
    pub(crate) once: bool,
}

impl Kernel {
    /// Whether it exchanges values within subgroups.
    pub(crate) fn has_subgroups(&self) -> bool {
        self.source.contains("subgroup_invocation_id")
    }

    /// All of it, as `src/export/web/recording.mjs` takes it.
    pub(crate) fn wgsl(&self) -> Value {
        let Kernel { name, source, constants, writes, once } = self;
        json!({ "name": name, "source": source, "constants": constants, "writes": writes, "once": once })
    }
}

/// At WebGPU's default limits, on any class of adapters.
pub(crate) fn on_webgpu() -> Result<Vec<Kernel>> {
    every(
        &[AdapterClass::Wide, AdapterClass::Apple, AdapterClass::Intel, AdapterClass::Software],
        STORAGE_BUFFERS,
        true,
    )
}

/// On DX12, whose adapters bind more storage buffers a dispatch. Each source once, and at every size of the workloads: FXC takes a
/// second for a kernel.
pub(crate) fn on_dx12() -> Result<Vec<Kernel>> {
    every(&[AdapterClass::Wide, AdapterClass::Intel, AdapterClass::Software], 2 * STORAGE_BUFFERS, false)
}

/// Kernels for these classes: each source once, and with all values of its constants, which compilers see, that it has in the
/// workloads' training steps, or anywhere.
fn every(classes: &[AdapterClass], storage_buffers: usize, all_sizes: bool) -> Result<Vec<Kernel>> {
    let profile = |&class: &AdapterClass| DeviceProfile { storage_buffers, ..DeviceProfile::new(class) };
    let mut profiles: Vec<DeviceProfile> = classes.iter().map(profile).collect();
    let eights = |class| DeviceProfile { subgroups: Subgroups::OfEight, ..profile(&class) };
    profiles.push(eights(AdapterClass::Software));
    profiles.push(DeviceProfile { subgroups: Subgroups::OfAnySize, ..profile(&AdapterClass::Wide) });
    let mut kernels = Kernels::default();
    for fuse in [Fusion::All, Fusion::None] {
        for plan in workload_plans(Options { half: true, ..Options::new(fuse) })?
            .iter()
            .chain(&workload_plans(Options::new(fuse))?)
        {
            profiles.iter().try_for_each(|profile| kernels.add(plan, profile, true))?;
        }
        for plan in preset_plans(fuse)? {
            profiles.iter().try_for_each(|profile| kernels.add(&plan, profile, all_sizes))?;
        }
    }
    for case in Op::cases() {
        let (graph, _, _) = Graph::of_case(&case)?;
        let plan = compile(&graph, Options::new(Fusion::None))?;
        for plan in plan_in_half(&case)?.iter().chain([&plan]) {
            profiles.iter().try_for_each(|profile| kernels.add(plan, profile, all_sizes))?;
        }
        let inputs: Vec<Shape> = case.inputs.iter().map(|(shape, _)| *shape).collect();
        let Some(size) = case.op.tuned_as(&inputs) else { continue };
        for class in [AdapterClass::Wide, AdapterClass::Software] {
            for algorithm in Algorithm::ALL {
                let profile = DeviceProfile { tuning: [(size, algorithm)].into(), ..eights(class) };
                kernels.add(&plan, &profile, all_sizes)?;
            }
        }
    }
    Ok(kernels.found)
}

/// The training steps of all workloads.
fn workload_plans(options: Options) -> Result<Vec<Plan>> {
    let mut found = Vec::new();
    for work in &WORKLOADS {
        found.extend(work_plans(work, &work.dataset()?, options)?.1);
    }
    Ok(found)
}

/// The training steps of all presets.
fn preset_plans(fuse: Fusion) -> Result<Vec<Plan>> {
    let mut found = Vec::new();
    for (name, text) in PRESETS {
        let config = TrainConfig::layered([text.parse()?])?;
        found.extend(plans(&config, &dataset(name, &config)?, Options::new(fuse))?.1);
    }
    Ok(found)
}

/// Data of the size that a preset is for.
fn dataset(preset: &str, config: &TrainConfig) -> Result<Dataset> {
    let is_coloured = preset.ends_with("-64") || preset == "pythae-celeba";
    let size = ImageSize { height: 64, width: 64, channels: 3 };
    Ok(if is_coloured { Dataset::noise(size, config.batch_size) } else { config.dataset()? })
}

/// Kernels, each once.
#[derive(Default)]
struct Kernels {
    found: Vec<Kernel>,
    sources: HashSet<String>,
    sized: HashSet<String>,
}

impl Kernels {
    /// Adds a plan's: those of a new source, or also those that differ in constants alone.
    fn add(&mut self, plan: &Plan, profile: &DeviceProfile, all_sizes: bool) -> Result<()> {
        let Recording { shaders, prologue, dispatches, .. } = lower(plan, profile)?;
        let once = prologue.into_iter().map(|dispatch| (dispatch, true));
        for (dispatch, once) in once.chain(dispatches.into_iter().map(|dispatch| (dispatch, false))) {
            let Dispatch { shader, constants, bindings, .. } = dispatch;
            let Shader { name, source, .. } = shaders[shader].clone();
            let is_sized = self.sized.insert(format!("{constants:?} {source}"));
            if self.sources.insert(source.clone()) || all_sizes && is_sized {
                let writes = bindings.iter().map(|binding| binding.writes).collect();
                self.found.push(Kernel { name, source, constants, writes, once });
            }
        }
        Ok(())
    }
}
