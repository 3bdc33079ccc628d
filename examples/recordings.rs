//! Writes training steps as files that anything with WebGPU can run, and the losses that it must come to.
//!
//! `cargo run --release --example recordings -- FOLDER` writes a folder for each of two workloads of `vae-gpu bench`: the
//! standard model and `keras-conv`, batches of 128. `work.json` names what else is there:
//!
//! - `recordings`: for each class of adapters, the programs of a step in their order, lowered for WebGPU's default limits;
//! - `arenas` and `data`: what the session's buffers hold at first, little-endian; an arena that is not named is all 0;
//! - `steps`: the values of ten steps;
//! - `metrics`: what the CPU path records at each in f64, the programs' columns side by side.
//!
//! `src/export/web/recording.mjs` runs them; `tests/dawn` does so on Dawn.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use serde_json::json;
use vae_gpu::backend::Session;
use vae_gpu::backend::cpu::CpuSession;
use vae_gpu::graph::PARAMETERS;
use vae_gpu::ops::{AdapterClass, DeviceProfile};
use vae_gpu::plan::{Fusion, Options, lower};
use vae_gpu::train::ModelInput;
use vae_gpu::train::bench::{WORKLOADS, Workload, work_plans, work_steps};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The workloads that are written.
const NAMES: [&str; 2] = ["standard-128", "conv-28"];
/// Images that they are trained on: ten batches.
const IMAGES: usize = 1280;
/// Hardware and software adapters: their kernels are others.
const CLASSES: [AdapterClass; 2] = [AdapterClass::Wide, AdapterClass::Software];

fn main() -> Result<()> {
    let Some(folder) = std::env::args().nth(1) else {
        println!("usage: recordings FOLDER");
        return Ok(());
    };
    for work in WORKLOADS.iter().filter(|work| NAMES.contains(&work.name)) {
        let folder = Path::new(&folder).join(work.name);
        std::fs::create_dir_all(&folder)?;
        let steps = write(work, &folder)?;
        println!("{steps} steps of {} in {}", work.name, folder.display());
    }
    Ok(())
}

/// Writes a workload: how many steps.
fn write(work: &Workload, folder: &Path) -> Result<usize> {
    let mut data = work.dataset()?;
    data.train = data.train.take_first(IMAGES);
    let (model, plans) = work_plans(work, &data, Options::new(Fusion::All))?;
    let steps = work_steps(work, &data);

    let mut recordings = BTreeMap::new();
    for class in CLASSES {
        let class_name = format!("{class:?}").to_lowercase();
        let mut files = Vec::new();
        for (number, plan) in plans.iter().enumerate() {
            let file = format!("{class_name}-{number}.json");
            std::fs::write(folder.join(&file), lower(plan, &DeviceProfile::new(class))?.to_json()?)?;
            files.push(file);
        }
        recordings.insert(class_name, files);
    }
    let parameters = model.layout().initial(0);
    std::fs::write(folder.join("parameters.bin"), bytemuck::cast_slice::<f32, u8>(&parameters))?;
    std::fs::write(folder.join("images.bin"), data.train.resident().values.as_bytes())?;

    let mut session = CpuSession::<f64>::new(model.layout(), &[data.train.resident()]);
    session.write_arena(PARAMETERS, &parameters)?;
    let programs = plans.into_iter().map(|plan| session.load(plan)).collect::<vae_gpu::Result<Vec<_>>>()?;
    let recorded = session.run(&programs, &steps)?;

    let work = json!({
        "recordings": recordings,
        "arenas": { PARAMETERS: "parameters.bin" },
        "data": ["images.bin"],
        "steps": steps,
        "metrics": recorded.rows().collect::<Vec<_>>(),
    });
    std::fs::write(folder.join("work.json"), work.to_string())?;
    Ok(steps.len())
}
