//! `vae-gpu devices`.

use clap::Args;

use super::say;
use crate::backend::{CachedTuning, TuningCache, adapters, auto_choice};
use crate::error::Result;

/// List every adapter, what it can do, and which one auto takes and why
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu devices")]
pub(super) struct Devices {}

impl Devices {
    pub(super) fn run(self) -> Result<()> {
        let adapters = adapters();
        if adapters.is_empty() {
            say(format_args!("no adapter: this machine has no driver for Vulkan, Metal or DX12"));
        }
        let kept = TuningCache::of_user();
        for adapter in &adapters {
            let profile = match kept.find(&adapter.adapter()) {
                Ok(CachedTuning::Nothing) => "none; `vae-gpu bench --tune` makes one".to_owned(),
                Ok(CachedTuning::Profile { path, tuning }) => {
                    format!("{}, in use for {} sizes of products", path.display(), tuning.len())
                }
                Ok(CachedTuning::Unused { path, why }) => format!("{}, not used: {why}", path.display()),
                Err(error) => error.to_string().trim_end().to_owned(),
            };
            say(format_args!("{}  {}", adapter.index, adapter.name));
            let shown = [
                ("kind", adapter.kind.to_string()),
                ("driver", adapter.driver.to_string()),
                ("backend", adapter.backend.to_string()),
                ("profile", profile),
            ];
            let facts = adapter.facts.iter().map(|(name, value)| (name.as_str(), value.to_string()));
            let rows: Vec<(&str, String)> = shown.into_iter().chain(facts).collect();
            let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
            for (name, value) in rows {
                say(format_args!("   {name:<width$}  {value}"));
            }
        }
        let threads = rayon::current_num_threads();
        say(format_args!("cpu  the CPU path, {threads} threads, f32; always there"));
        let (which, why) = auto_choice();
        say(format_args!("--device auto takes {which}: {why}"));
        Ok(())
    }
}
