//! Which device a run takes, and why.

use super::gpu::{self, AdapterReport, Gpu, GpuOptions};
use super::{CachedTuning, Device, Precision, TuningCache, cpu::Cpu};
use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// What `--device` asks for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// A hardware GPU if there is one, else the CPU path.
    #[default]
    Auto,
    /// The CPU path, in f32.
    Cpu,
    /// A GPU: hardware if there is one, else a software adapter.
    Gpu,
    /// The adapter at this position of `vae-gpu devices`.
    Index(usize),
    /// The first adapter whose name contains this, whatever the case.
    Name(String),
}

impl FromStr for DeviceChoice {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> std::result::Result<DeviceChoice, Self::Err> {
        Ok(match (text, text.parse()) {
            ("auto", _) => DeviceChoice::Auto,
            ("cpu", _) => DeviceChoice::Cpu,
            ("gpu", _) => DeviceChoice::Gpu,
            (_, Ok(index)) => DeviceChoice::Index(index),
            (name, _) => DeviceChoice::Name(name.to_owned()),
        })
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Auto => write!(f, "auto"),
            DeviceChoice::Cpu => write!(f, "cpu"),
            DeviceChoice::Gpu => write!(f, "gpu"),
            DeviceChoice::Index(index) => write!(f, "{index}"),
            DeviceChoice::Name(name) => write!(f, "{name}"),
        }
    }
}

/// A device, and why it was taken.
pub struct Selected {
    /// The device.
    pub device: Box<dyn Device>,
    /// Why, for people.
    pub why: String,
    /// What else people should know: a profile that is not used, and why.
    pub notes: Vec<String>,
}

impl Selected {
    fn cpu(why: impl Into<String>) -> Selected {
        Selected { device: Box::new(Cpu::<f32>::new()), why: why.into(), notes: Vec::new() }
    }
}

/// Opens what was asked for; an adapter with the profile and the compiled kernels that are kept of it.
///
/// # Errors
/// [`Error::Usage`] where no adapter is what was asked for; the message lists those there are. Never another device
/// instead. What [`TuningCache::find`] says of a profile.
pub fn select(choice: &DeviceChoice, kept: &TuningCache) -> Result<Selected> {
    select_with(choice, kept, GpuOptions::default())
}

/// [`select`], where a GPU compiles kernels so.
///
/// # Errors
/// As [`select`], and [`Error::Usage`] where the device is the CPU, in [`Precision::F16`].
pub fn select_with(choice: &DeviceChoice, kept: &TuningCache, options: GpuOptions) -> Result<Selected> {
    let selected = open(choice, kept, options)?;
    if options.precision == Precision::F16 && selected.device.adapter().driver.is_none() {
        let name = selected.device.name();
        return Err(Error::Usage(format!("--precision f16 is for GPUs: the device is {name}")));
    }
    Ok(selected)
}

fn open(choice: &DeviceChoice, kept: &TuningCache, options: GpuOptions) -> Result<Selected> {
    if *choice == DeviceChoice::Cpu {
        return Ok(Selected::cpu("it was asked for"));
    }
    let adapters = gpu::adapters();
    let hardware = adapters.iter().find(|adapter| adapter.hardware);
    let wanted = match choice {
        DeviceChoice::Auto => match hardware {
            Some(adapter) => Some(adapter),
            None => return Ok(Selected::cpu(no_hardware(&adapters))),
        },
        DeviceChoice::Gpu => hardware.or(adapters.first()),
        DeviceChoice::Index(index) => adapters.get(*index),
        DeviceChoice::Name(name) => {
            let name = name.to_lowercase();
            adapters.iter().find(|adapter| adapter.name.to_lowercase().contains(&name))
        }
        DeviceChoice::Cpu => None,
    };
    let Some(adapter) = wanted else {
        let known: Vec<String> = adapters.iter().map(|adapter| format!("{} {}", adapter.index, adapter.name)).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(Error::Usage(format!("--device {choice}: no such adapter; there are: {known}; or auto, cpu, gpu")));
    };
    let why = match (choice, adapter.hardware) {
        (DeviceChoice::Auto, _) => "it is the first hardware GPU",
        (_, true) => "it was asked for",
        (_, false) => "it was asked for; it is a software adapter, no GPU",
    };
    let found = kept.find(&adapter.adapter())?;
    let mut gpu = Gpu::open(adapter.index, options)?;
    if let Some(folder) = kept.folder() {
        gpu.keep_pipelines(&folder);
    }
    let (mut why, mut notes) = (why.to_owned(), Vec::new());
    match found {
        CachedTuning::Nothing => {}
        CachedTuning::Profile { path, tuning } => {
            gpu.set_tuning(tuning);
            why += &format!("; products as {} says", path.display());
        }
        CachedTuning::Unused { path, why } => notes.push(format!("profile {} is not used: {why}", path.display())),
    }
    if options.precision == Precision::F16 && gpu.profile().is_some_and(|profile| profile.half.is_none()) {
        let but = "only activations are in f16, products are in f32";
        notes.push(format!("{but}: {} has no cooperative matrices that a kernel fits", adapter.name));
    }
    Ok(Selected { device: Box::new(gpu), why, notes })
}

/// Every adapter.
pub fn adapters() -> Vec<AdapterReport> {
    gpu::adapters()
}

/// What `auto` takes, and why; opens nothing.
pub fn auto_choice() -> (String, String) {
    let adapters = gpu::adapters();
    match adapters.iter().find(|adapter| adapter.hardware) {
        Some(adapter) => (adapter.name.clone(), "it is the first hardware GPU".to_owned()),
        None => (Cpu::<f32>::new().name(), no_hardware(&adapters)),
    }
}

fn no_hardware(adapters: &[AdapterReport]) -> String {
    match adapters.first() {
        None => "no GPU was found, so the CPU path runs".to_owned(),
        Some(software) => {
            format!(
                "no hardware GPU was found ({} is software; ask for it with --device gpu), so the CPU path runs",
                software.name
            )
        }
    }
}
