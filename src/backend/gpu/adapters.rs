//! The adapters that there are, and what each can do.

use super::*;

/// What there is to know of an adapter.
#[derive(Clone, Debug)]
pub struct AdapterReport {
    /// Its position in the list: `--device INDEX`.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// "discrete GPU", "integrated GPU", "virtual GPU", "software".
    pub kind: &'static str,
    /// The driver and its version.
    pub driver: String,
    /// Vulkan, Metal, DX12.
    pub backend: String,
    /// Runs on real graphics hardware.
    pub hardware: bool,
    /// Limits and features that matter here, as (name, value).
    pub facts: Vec<(String, String)>,
}

impl AdapterReport {
    /// What a session on it computes on.
    pub fn adapter(&self) -> Adapter {
        Adapter { name: self.name.clone(), driver: Some(self.driver.clone()) }
    }
}

pub(super) fn adapters_of(instance: &wgpu::Instance) -> Vec<wgpu::Adapter> {
    let compute = |adapter: &wgpu::Adapter| {
        adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
    };
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    adapters.into_iter().filter(compute).collect()
}

/// With `checks` also the validation layers of the graphics API, where they are installed; what they say goes to the `log`
/// crate.
pub(super) fn instance(checks: bool) -> wgpu::Instance {
    let watched = wgpu::InstanceFlags::VALIDATION | wgpu::InstanceFlags::DEBUG;
    let flags = if checks { watched } else { wgpu::InstanceFlags::empty() };
    wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::PRIMARY,
        flags,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    })
}

pub(super) fn kind(info: &wgpu::AdapterInfo) -> &'static str {
    match info.device_type {
        wgpu::DeviceType::DiscreteGpu => "discrete GPU",
        wgpu::DeviceType::IntegratedGpu => "integrated GPU",
        wgpu::DeviceType::VirtualGpu => "virtual GPU",
        wgpu::DeviceType::Cpu => "software",
        wgpu::DeviceType::Other => "unknown kind",
    }
}

pub(super) fn driver(info: &wgpu::AdapterInfo) -> String {
    format!("{} {}", info.driver, info.driver_info).trim().to_owned()
}

pub(super) fn report(index: usize, adapter: &wgpu::Adapter) -> AdapterReport {
    let info = adapter.get_info();
    let limits = adapter.limits();
    let features = adapter.features();
    let mebibytes = |bytes: u64| format!("{} MiB", bytes >> 20);
    let has = |feature| if features.contains(feature) { "yes" } else { "no" }.to_owned();
    let facts = vec![
        ("largest storage binding".to_owned(), mebibytes(limits.max_storage_buffer_binding_size)),
        ("largest buffer".to_owned(), mebibytes(limits.max_buffer_size)),
        ("workgroup memory".to_owned(), format!("{} KiB", limits.max_compute_workgroup_storage_size >> 10)),
        ("invocations a workgroup".to_owned(), limits.max_compute_invocations_per_workgroup.to_string()),
        ("timestamp queries".to_owned(), has(wgpu::Features::TIMESTAMP_QUERY)),
        ("f16 shaders".to_owned(), has(wgpu::Features::SHADER_F16)),
        ("cooperative matrices".to_owned(), cooperative(adapter)),
        (
            "--precision f16".to_owned(),
            half_of(adapter).map_or_else(|| "activations".to_owned(), |half| format!("activations, products ({half})")),
        ),
        ("subgroup".to_owned(), format!("{} to {}", info.subgroup_min_size, info.subgroup_max_size)),
        ("compiled kernels kept".to_owned(), has(wgpu::Features::PIPELINE_CACHE)),
    ];
    AdapterReport {
        index,
        hardware: info.device_type != wgpu::DeviceType::Cpu,
        kind: kind(&info),
        driver: driver(&info),
        backend: format!("{:?}", info.backend),
        name: info.name,
        facts,
    }
}

/// The matrices that a subgroup can multiply together: `16x16x16 f16 into f32`.
pub(super) fn cooperative(adapter: &wgpu::Adapter) -> String {
    let one = |found: &wgpu::CooperativeMatrixProperties| {
        let word = |kind| format!("{kind:?}").to_lowercase();
        let (from, into) = (word(found.ab_type), word(found.cr_type));
        format!("{}x{}x{} {from} into {into}", found.m_size, found.n_size, found.k_size)
    };
    let mut all: Vec<String> = adapter.cooperative_matrix_properties().iter().map(one).collect();
    all.dedup();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

/// The class of an adapter, by the vendor's number in PCI; Metal tells no number, but names that begin with the vendor's.
pub(super) fn class_of(info: &wgpu::AdapterInfo) -> AdapterClass {
    const APPLE: u32 = 0x106b;
    const INTEL: u32 = 0x8086;
    let metal = info.backend == wgpu::Backend::Metal;
    match info.vendor {
        _ if info.device_type == wgpu::DeviceType::Cpu => AdapterClass::Software,
        APPLE => AdapterClass::Apple,
        INTEL => AdapterClass::Intel,
        _ if metal && info.name.starts_with("Apple") => AdapterClass::Apple,
        _ if metal && info.name.starts_with("Intel") => AdapterClass::Intel,
        _ => AdapterClass::Wide,
    }
}

/// What products in f16 need.
pub(super) const HALF_FEATURES: wgpu::Features =
    wgpu::Features::SHADER_F16.union(wgpu::Features::SUBGROUP).union(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX);

/// The largest matrices for products in f16, of those that a kernel fits.
pub(super) fn half_of(adapter: &wgpu::Adapter) -> Option<Half> {
    let fits = |found: &wgpu::CooperativeMatrixProperties, side: u32| {
        (found.m_size, found.n_size, found.k_size) == (side, side, side)
            && found.ab_type == wgpu::CooperativeScalarType::F16
            && found.cr_type == wgpu::CooperativeScalarType::F32
    };
    let listed = adapter.cooperative_matrix_properties();
    let has = |side: &u32| listed.iter().any(|found| fits(found, *side));
    let largest = adapter.get_info().subgroup_max_size as usize;
    let half = [16, 8].into_iter().filter(has).find_map(|side| Half::new(side as usize, largest))?;
    adapter.features().contains(HALF_FEATURES).then_some(half)
}

/// Leaves out Mesa's Vulkan layer that puts devices in order, where there is no session whose screen it could ask: it would print an
/// error for every instance. `MESA_VK_DEVICE_SELECT` keeps it. For the start of a process: it does nothing once there are threads.
pub fn without_device_select() {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !["XDG_RUNTIME_DIR", "MESA_VK_DEVICE_SELECT", "NODEVICE_SELECT"].into_iter().any(is_set) {
        unchecked::set_variable("NODEVICE_SELECT", "1");
    }
}

/// Every adapter that can run compute kernels, in a stable order.
pub fn adapters() -> Vec<AdapterReport> {
    adapters_of(&instance(false)).iter().enumerate().map(|(index, adapter)| report(index, adapter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_told_by_number_or_by_metals_name() {
        use wgpu::{Backend, DeviceType};
        for (backend, kind, vendor, name, class) in [
            (Backend::Vulkan, DeviceType::DiscreteGpu, 0x10de, "NVIDIA H200", AdapterClass::Wide),
            (Backend::Vulkan, DeviceType::IntegratedGpu, 0x8086, "Intel(R) Arc(tm) A750", AdapterClass::Intel),
            (Backend::Dx12, DeviceType::IntegratedGpu, 0x8086, "Intel(R) UHD Graphics 770", AdapterClass::Intel),
            (Backend::Vulkan, DeviceType::IntegratedGpu, 0x106b, "Apple M1", AdapterClass::Apple),
            (Backend::Metal, DeviceType::IntegratedGpu, 0, "Apple M3 Max", AdapterClass::Apple),
            (Backend::Metal, DeviceType::IntegratedGpu, 0, "Intel(R) Iris(TM) Plus", AdapterClass::Intel),
            (Backend::Metal, DeviceType::DiscreteGpu, 0, "AMD Radeon Pro 5500M", AdapterClass::Wide),
            (Backend::Vulkan, DeviceType::Cpu, 0x10005, "llvmpipe", AdapterClass::Software),
        ] {
            let info = wgpu::AdapterInfo { vendor, name: name.to_owned(), ..wgpu::AdapterInfo::new(kind, backend) };
            assert_eq!(class_of(&info), class, "{info:?}");
        }
    }
}
