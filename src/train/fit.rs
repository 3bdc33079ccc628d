//! Whether a model and all programs of its training fit a device together, before anything is made there.

use crate::backend::Device;
use crate::error::{Error, Result};
use crate::graph::ParameterLayout;
use crate::plan::{Plan, Pool};
use crate::tensor::DType;

/// Checks plans that one session will hold, the data set apart, which is streamed where it does not fit.
///
/// # Errors
/// [`Error::Device`] where this machine has not the memory for the model or a batch, or a buffer would be larger than the
/// device allows: what needs it, and what would fit.
pub(super) fn check(device: &dyn Device, layout: &ParameterLayout, plans: &[Plan], batch_size: usize) -> Result<()> {
    // The host has the parameters too, and on the CPU everything. What is reserved here is given back at once; a system that
    // promises memory it does not have (Linux, within limits) is not asked further.
    let bytes = bytes(layout, plans);
    if Vec::<u8>::new().try_reserve_exact(usize::try_from(bytes).unwrap_or(usize::MAX)).is_err() {
        let gibibytes = bytes as f64 / f64::from(1 << 30);
        let (count, name) = (layout.count(), device.name());
        let reason = format!(
            "{count} parameters with their moments, and batches of {batch_size}, need {gibibytes:.1} GiB, which this machine \
             does not have: use smaller layers (--hidden, --latent), or a smaller --batch-size"
        );
        return Err(Error::device(name, reason));
    }
    let Some(limit) = device.binding_limit() else { return Ok(()) };
    let mebibytes = |bytes: u64| format!("{:.0} MiB", (bytes as f64 / f64::from(1 << 20)).ceil());
    let does_not_fit = |what: &str, bytes: u64, instead: String| {
        let (needed, allowed) = (mebibytes(bytes), limit >> 20);
        let reason = format!("{what} needs {needed} in one binding, this adapter allows {allowed} MiB: use {instead}");
        Err(Error::device(device.name(), reason))
    };
    let parameters = (layout.len() * DType::F32.bytes()) as u64;
    if parameters > limit {
        let instead = "smaller layers (--hidden, --latent), or --device cpu".to_owned();
        return does_not_fit("the model", parameters, instead);
    }
    let largest = plans.iter().flat_map(|plan| &plan.locals).max().map_or(0, |&bytes| bytes as u64);
    if largest > limit {
        let instead = match limit * batch_size as u64 / largest {
            0 => "smaller layers (--hidden), or --device cpu".to_owned(),
            fitting => format!("--batch-size up to {fitting}, or --device cpu"),
        };
        return does_not_fit(&format!("an activation of {batch_size} images"), largest, instead);
    }
    Ok(())
}

/// Bytes that a session of these plans holds: its arenas, the buffers that programs share, and their own.
pub(super) fn bytes(layout: &ParameterLayout, plans: &[Plan]) -> u64 {
    let mut arenas: Vec<&str> = plans.iter().flat_map(|plan| &plan.arenas).copied().collect();
    arenas.sort_unstable();
    arenas.dedup();
    let (mut pool, mut own) = (Pool::default(), 0_u64);
    for plan in plans {
        let shared: Vec<u64> = plan.shared_locals().into_iter().map(|local| plan.locals[local] as u64).collect();
        own = own.saturating_add(plan.local_bytes() as u64 - shared.iter().sum::<u64>());
        pool.assign(&shared);
    }
    let arenas = (arenas.len() as u64).saturating_mul((layout.len() * DType::F32.bytes()) as u64);
    pool.sizes().iter().fold(arenas.saturating_add(own), |sum, &size| sum.saturating_add(size))
}
