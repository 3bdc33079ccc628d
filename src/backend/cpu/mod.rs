//! The CPU: every op's reference, in the order of the plan, in f32 or f64.

mod interpret;
mod session;

pub use interpret::interpret;
pub use session::CpuSession;

use super::*;
use crate::ops::Real;

/// The CPU as a device, computing in `T`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu<T>(std::marker::PhantomData<T>);

impl<T> Cpu<T> {
    /// The device.
    pub fn new() -> Cpu<T> {
        Cpu(std::marker::PhantomData)
    }
}

impl<T: Real> Device for Cpu<T> {
    fn name(&self) -> String {
        let bits = 8 * size_of::<T>();
        match rayon::current_num_threads() {
            1 => format!("cpu (1 thread, f{bits})"),
            threads => format!("cpu ({threads} threads, f{bits})"),
        }
    }

    /// Epilogues only: operands are packed, so a fused gather would be materialised anyway.
    fn options(&self) -> Options {
        Options::new(Fusion::Epilogues)
    }

    fn adapter(&self) -> Adapter {
        Adapter { name: processor(), driver: None }
    }

    fn with_tuning(&self, _: TuningTable) -> Option<Box<dyn Device>> {
        None
    }

    fn session(&self, layout: &ParameterLayout, data: &[Data<'_>]) -> Result<Box<dyn Session>> {
        Ok(Box::new(CpuSession::<T>::new(layout, data)))
    }
}

/// The processor's own name, where it tells one ("AMD EPYC 9654"); else the architecture's ("aarch64").
fn processor() -> String {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    if let Some(brand) = raw_cpuid::CpuId::new().get_processor_brand_string() {
        return brand.as_str().trim().to_owned();
    }
    std::env::consts::ARCH.to_owned()
}
