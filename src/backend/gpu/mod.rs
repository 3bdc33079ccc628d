//! A GPU through wgpu: the only place that names it.
//!
//! Two codebases were read for this part: wgpu's own examples and burn's wgpu runtime. Taken: everything that can be built
//! once (pipelines, bind groups, buffers) is built when a plan is loaded. Not taken: lazily compiled kernels and tuning at
//! run time, which make the first steps slow and runs differ.

mod adapters;
mod buffers;
mod kernel;
mod pipelines;
mod program;
mod session;
mod times;

pub use adapters::{AdapterReport, adapters, without_device_select};
pub use kernel::reflect;
pub use session::GpuSession;
pub(crate) use session::PendingRecord;
pub use wgpu;

use super::*;
use crate::ops::{AdapterClass, DeviceProfile, Half, Subgroups};
use crate::unchecked;
use adapters::{HALF_FEATURES, adapters_of, class_of, driver, half_of, instance, kind, report};
use pipelines::Pipelines;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

/// Storage buffers that a dispatch may bind at most, where the adapter has as many.
const MAX_STORAGE_BUFFERS: u32 = 16;

/// How kernels are compiled.
#[derive(Clone, Copy, Debug, Default)]
pub struct GpuOptions {
    /// Keep wgpu's injected bounds and loop checks, poison every buffer before use and put guard words behind it, and
    /// have the graphics API's validation layers look on. For tests: without it kernels run without injected checks.
    pub checks: bool,
    /// Breaks kernels before they are linked: how tests show that a broken one is reported.
    pub fault: Option<fn(&mut crate::ops::Kernel)>,
    /// Precision of activations and products.
    pub precision: Precision,
}

impl From<Precision> for GpuOptions {
    fn from(precision: Precision) -> GpuOptions {
        GpuOptions { precision, ..GpuOptions::default() }
    }
}

/// An opened adapter.
#[derive(Clone, Debug)]
pub struct Gpu {
    shared: Arc<Shared>,
}

#[derive(Clone, Debug)]
struct Shared {
    device: wgpu::Device,
    queue: wgpu::Queue,
    name: String,
    adapter: Adapter,
    profile: DeviceProfile,
    /// The name of the file of compiled kernels, where the driver gives them out.
    pipelines_key: Option<String>,
    pipelines: Option<Arc<Pipelines>>,
    options: GpuOptions,
    fault: Arc<Mutex<Option<String>>>,
    lost: Arc<OnceLock<String>>,
}

impl Gpu {
    /// Opens the adapter at `index` of [`adapters`]; nothing that is kept of it is read.
    ///
    /// # Errors
    /// [`Error::Device`] where there is no such adapter or it refuses.
    pub fn open(index: usize, options: GpuOptions) -> Result<Gpu> {
        let adapters = adapters_of(&instance(options.checks));
        let Some(adapter) = adapters.get(index) else {
            return Err(Error::device(
                index.to_string(),
                format!("there are {} adapters, counted from 0", adapters.len()),
            ));
        };
        let report = report(index, adapter);
        let limits = adapter.limits();
        // WebGPU's defaults suffice for every kernel; the sizes of buffers go up to what the adapter has, and so do the buffers of
        // a dispatch, up to what ops that share one can use.
        let mut required_limits = wgpu::Limits {
            max_storage_buffers_per_shader_stage: limits.max_storage_buffers_per_shader_stage.min(MAX_STORAGE_BUFFERS),
            max_storage_buffer_binding_size: limits.max_storage_buffer_binding_size,
            max_buffer_size: limits.max_buffer_size,
            ..wgpu::Limits::default()
        };
        let mut features = adapter.features()
            & (wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::PIPELINE_CACHE | wgpu::Features::SUBGROUP);
        let (mut half, mut experimental_features) = (None, wgpu::ExperimentalFeatures::disabled());
        if options.precision == Precision::F16 {
            half = half_of(adapter);
        }
        if half.is_some() {
            features |= HALF_FEATURES;
            required_limits.max_compute_workgroup_storage_size = limits.max_compute_workgroup_storage_size;
            experimental_features = unchecked::experimental();
        }
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("vae-gpu"),
            // No kernel needs a feature, but products on cooperative matrices. Where the adapter has them, `Session::profile` reads its clock,
            // compiled kernels are kept on disk, and an algorithm for products may use subgroups.
            required_features: features,
            experimental_features,
            required_limits,
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|error| Error::device(&report.name, format!("it could not be opened: {error}")))?;
        let mut gpu = Gpu::of(device, queue, options);
        gpu.change_profile(|profile| profile.half = half);
        let (seen, lost) = (Arc::clone(&gpu.shared.fault), Arc::clone(&gpu.shared.lost));
        gpu.shared.device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            if let Ok(mut fault) = seen.lock() {
                fault.get_or_insert_with(|| describe(&error));
            }
        }));
        gpu.shared.device.set_device_lost_callback(move |_, reason| {
            lost.get_or_init(|| format!("it was lost: {reason}"));
        });
        Ok(gpu)
    }

    /// Destroys the device: whatever is asked of it from now on fails, as after a reset by the driver. For tests of what
    /// follows.
    pub fn lose(&self) {
        self.shared.device.destroy();
    }

    /// A device that the host application already owns, and its queue: sessions share both with whatever else the host does
    /// with them. This is the one place where a wgpu type is part of this crate's interface, of the version that
    /// [`wgpu`] here names.
    ///
    /// The device needs WebGPU's default limits on compute shaders, which every conforming adapter grants, and no feature.
    /// How large a model and its data may be is up to the limits on buffers it was made with. With
    /// `TIMESTAMP_QUERY` [`Session::profile`] works, with `PIPELINE_CACHE` [`Gpu::keep_pipelines`], with `SUBGROUP`
    /// [`Algorithm::Subgroups`](crate::ops::Algorithm) where it fits.
    ///
    /// In [`Precision::F16`] its products are in f32: wgpu tells of cooperative matrices before a device is made alone.
    ///
    /// The host's handler of uncaptured errors stays in place. What wgpu reports while a session or a program is made
    /// comes back as an [`Error::Device`]; an error in a later submission goes to that handler. Waiting for a result
    /// polls the device, so callbacks of the host's own submissions may run meanwhile.
    ///
    /// # Errors
    /// [`Error::Device`] that names a limit which is too low, what it is and what is needed.
    pub fn on(device: wgpu::Device, queue: wgpu::Queue, options: GpuOptions) -> Result<Gpu> {
        let gpu = Gpu::of(device, queue, options);
        match lacking(&gpu.shared.device.limits()) {
            Some(reason) => Err(gpu.shared.error(reason)),
            None => Ok(gpu),
        }
    }

    fn of(device: wgpu::Device, queue: wgpu::Queue, options: GpuOptions) -> Gpu {
        let info = device.adapter_info();
        let driver = driver(&info);
        let name = format!("{} ({}, {:?}, {driver})", info.name, kind(&info), info.backend);
        let class = class_of(&info);
        // A software adapter has no use for sums by subgroups: its barriers are no slower.
        let subgroups = match (info.subgroup_min_size, info.subgroup_max_size) {
            _ if !device.features().contains(wgpu::Features::SUBGROUP) => Subgroups::None,
            (8, 8) => Subgroups::OfEight,
            _ if class == AdapterClass::Software => Subgroups::None,
            _ => Subgroups::OfAnySize,
        };
        let storage_buffers = device.limits().max_storage_buffers_per_shader_stage as usize;
        let profile = DeviceProfile { subgroups, storage_buffers, ..DeviceProfile::new(class) };
        let pipelines_key = match device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            true => wgpu::util::pipeline_cache_key(&info),
            false => None,
        };
        let (adapter, pipelines) = (Adapter { name: info.name, driver: Some(driver) }, None);
        let (fault, lost) = (Arc::new(Mutex::new(None)), Arc::new(OnceLock::new()));
        let shared = Shared { device, queue, name, adapter, profile, pipelines_key, pipelines, options, fault, lost };
        Gpu { shared: Arc::new(shared) }
    }

    /// Sessions opened from now on take compiled kernels from a file in this folder, and leave theirs there when the
    /// device is closed; nothing happens where the driver gives none out. What is damaged or another driver's is replaced.
    pub fn keep_pipelines(&mut self, folder: &Path) {
        let shared = Arc::make_mut(&mut self.shared);
        if let Some(key) = &shared.pipelines_key {
            shared.pipelines = Some(Arc::new(Pipelines::open(&shared.device, folder, key)));
        }
    }

    /// Sessions opened from now on compute products of these sizes with these algorithms, and all others by the rule.
    pub fn set_tuning(&mut self, tuning: TuningTable) {
        self.change_profile(|profile| profile.tuning = tuning);
    }

    /// Sessions opened from now on lower plans for this device, changed so: for tests of what another adapter would run.
    pub fn change_profile(&mut self, change: impl FnOnce(&mut DeviceProfile)) {
        change(&mut Arc::make_mut(&mut self.shared).profile);
    }

    /// [`Device::session`], with what only a GPU's session has.
    pub fn open_session(&self, layout: &ParameterLayout, data: &[Data<'_>]) -> Result<GpuSession> {
        self.shared.caught(|| GpuSession::new(Arc::clone(&self.shared), layout, data))
    }
}

/// What wgpu reported, and what to do about it where anything can be.
fn describe(error: &wgpu::Error) -> String {
    match error {
        wgpu::Error::OutOfMemory { .. } => {
            "it is out of memory: use a smaller --batch-size, smaller layers (--hidden), --resident-limit MIB for the data, \
             or --device cpu"
                .to_owned()
        }
        other => other.to_string(),
    }
}

/// The first limit below what kernels rely on: WebGPU's defaults for compute shaders.
fn lacking(has: &wgpu::Limits) -> Option<String> {
    let needs = wgpu::Limits::default();
    macro_rules! first_below { ($($limit:ident),+) => {
        [$((stringify!($limit), u64::from(has.$limit), u64::from(needs.$limit))),+].into_iter().find(|(_, has, needs)| has < needs)
    } }
    let (limit, has, needs) = first_below!(
        max_bindings_per_bind_group,
        max_dynamic_uniform_buffers_per_pipeline_layout,
        max_storage_buffers_per_shader_stage,
        max_uniform_buffer_binding_size,
        max_compute_workgroup_storage_size,
        max_compute_invocations_per_workgroup,
        max_compute_workgroup_size_x,
        max_compute_workgroups_per_dimension
    )?;
    Some(format!("its {limit} is {has}: kernels need {needs}, which is WebGPU's default"))
}

impl Shared {
    /// See [`Device::binding_limit`].
    fn binding_limit(&self) -> u64 {
        let limits = self.device.limits();
        limits.max_storage_buffer_binding_size.min(limits.max_buffer_size)
    }

    /// Makes something; what wgpu reports meanwhile is the error, whoever handles errors otherwise.
    fn caught<T>(&self, make: impl FnOnce() -> Result<T>) -> Result<T> {
        use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
        let scopes = [OutOfMemory, Validation, Internal].map(|filter| self.device.push_error_scope(filter));
        let made = make();
        // All are popped, the last one pushed first. What there is no memory for is invalid wherever it is used: that is no error of ours.
        let errors: Vec<_> = scopes.into_iter().rev().map(|scope| pollster::block_on(scope.pop())).collect();
        match errors.into_iter().rev().flatten().next() {
            Some(error) => Err(self.error(describe(&error))),
            None => made,
        }
    }

    /// That the device is lost, or the first error that wgpu reported, if any.
    fn check(&self) -> Result<()> {
        if let Some(reason) = self.lost.get() {
            return Err(self.error(reason));
        }
        match self.fault.lock() {
            Ok(mut fault) => match fault.take() {
                Some(reason) => Err(self.error(reason)),
                None => Ok(()),
            },
            Err(_) => Err(self.error("its error handler panicked")),
        }
    }

    fn error(&self, reason: impl Into<String>) -> Error {
        Error::device(&self.name, reason)
    }
}

impl Device for Gpu {
    fn name(&self) -> String {
        self.shared.name.clone()
    }

    fn adapter(&self) -> Adapter {
        self.shared.adapter.clone()
    }

    fn with_tuning(&self, tuning: TuningTable) -> Option<Box<dyn Device>> {
        let runs = tuning.values().all(|variant| variant.runs_on(&self.shared.profile));
        runs.then(|| {
            let mut device = self.clone();
            device.set_tuning(tuning);
            Box::new(device) as Box<dyn Device>
        })
    }

    fn options(&self) -> Options {
        Options { half: self.shared.options.precision == Precision::F16, ..Options::new(Fusion::All) }
    }

    fn profile(&self) -> Option<&DeviceProfile> {
        Some(&self.shared.profile)
    }

    fn binding_limit(&self) -> Option<u64> {
        Some(self.shared.binding_limit())
    }

    fn session(&self, layout: &ParameterLayout, data: &[Data<'_>]) -> Result<Box<dyn Session>> {
        Ok(Box::new(self.open_session(layout, data)?))
    }
}
