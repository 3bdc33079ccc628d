//! Whether a model and its batches fit a device, before anything is made there.

use crate::backend::Device;
use crate::error::{Error, Result};
use crate::graph::ParameterLayout;
use crate::plan::Plan;

/// # Errors
/// [`Error::Device`] where this machine has not the memory for the model or a batch, or a buffer would be larger than the
/// device allows: what needs it, and what would fit.
pub(super) fn check(device: &dyn Device, layout: &ParameterLayout, plans: &[&Plan], batch_size: usize) -> Result<()> {
    // The host has the parameters too, and on the CPU everything. What is reserved here is given back at once; a system that
    // promises memory it does not have (Linux, within limits) is not asked further.
    let activations = plans.iter().map(|plan| plan.locals.iter().sum::<usize>()).max().unwrap_or(0);
    let values = layout.len().saturating_mul(4).saturating_add(activations);
    if Vec::<f32>::new().try_reserve_exact(values).is_err() {
        let gibibytes = values as f64 * 4.0 / f64::from(1 << 30);
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
    let parameters = 4 * layout.len() as u64;
    if parameters > limit {
        let instead = "smaller layers (--hidden, --latent), or --device cpu".to_owned();
        return does_not_fit("the model", parameters, instead);
    }
    let largest = plans.iter().flat_map(|plan| &plan.locals).max().map_or(0, |&len| 4 * len as u64);
    if largest > limit {
        let instead = match limit * batch_size as u64 / largest {
            0 => "smaller layers (--hidden), or --device cpu".to_owned(),
            fitting => format!("--batch-size up to {fitting}, or --device cpu"),
        };
        return does_not_fit(&format!("an activation of {batch_size} images"), largest, instead);
    }
    Ok(())
}
