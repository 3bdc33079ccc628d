//! `vae-gpu check`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use super::json::Json;
use super::{device_line, device_with, say, thousands};
use crate::backend::gpu::GpuOptions;
use crate::backend::{Precision, TuningCache, adapters};
use crate::conformance::{Outcome, Subject, check};
use crate::error::{Error, Result};

/// Failures of one name that are told; the JSON has all.
const TOLD: usize = 3;

/// Check that an adapter computes what it must: every op and algorithm, steps of every model, determinism, limits
///
/// Ops are compared with their reference in f64, with injected bounds checks and without; training steps with the CPU's. The
/// adapter's profile is not used, nor are kernels that were kept. The exit code is 1 where a comparison fails.
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu check --device gpu --json > check.json")]
pub(super) struct Check {
    /// auto, cpu, gpu, or an adapter's index or name as `vae-gpu devices` lists them
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
    /// The largest case of each op, models without clipping, and one work only
    #[arg(long)]
    quick: bool,
    /// Write the result as a JSON object too, to attach to a report; without FILE, or -, it is printed in place of the table
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

/// What is attached to a report.
#[derive(Serialize)]
struct Report {
    version: &'static str,
    device: String,
    adapter: String,
    driver: Option<String>,
    /// What `vae-gpu devices` says of the adapter; nothing of the CPU.
    facts: BTreeMap<String, String>,
    quick: bool,
    cases: usize,
    failed: usize,
    seconds: f64,
    checks: Vec<Outcome>,
}

impl Check {
    pub(super) fn run(self) -> Result<()> {
        let began = Instant::now();
        let json = Json::new(self.json.as_deref())?;
        let to_stdout = json.is_stdout();
        let open = |options| device_with(&self.device, &TuningCache::Nowhere, options);
        let selected = open(GpuOptions::default())?;
        let adapter = selected.device.adapter();
        // Checks are injected into a GPU's kernels; the CPU has no driver, and none to inject.
        let is_gpu = adapter.driver.is_some();
        let checked =
            if is_gpu { Some(open(GpuOptions { checks: true, ..GpuOptions::default() })?.device) } else { None };
        let half = if is_gpu { Some(open(Precision::F16.into())?.device) } else { None };
        if !to_stdout {
            say(format_args!("{}", device_line(&selected)));
            say(format_args!("{:<12} {:<32} {:>6} {:>13} {:>8}", "part", "name", "cases", "of tolerance", "seconds"));
        }
        let subject = Subject { device: &*selected.device, checked: checked.as_deref(), half: half.as_deref() };
        let checks = check(&subject, self.quick, |check| {
            if !to_stdout {
                say_check(check);
            }
        });
        let cases = checks.iter().map(|check| check.cases).sum();
        let failed = checks.iter().map(|check| check.failures.len()).sum();
        let seconds = began.elapsed().as_secs_f64();
        let device = selected.device.name();
        let verdict = format!("{failed} of {} comparisons failed", thousands(cases));
        if !to_stdout {
            say(format_args!("{verdict}, in {seconds:.1} s"));
        }
        if self.json.is_some() {
            let found = adapters().into_iter().find(|found| found.adapter() == adapter);
            let facts = found.map(|found| found.facts.into_iter().collect()).unwrap_or_default();
            let (version, quick, device) = (env!("CARGO_PKG_VERSION"), self.quick, device.clone());
            let (adapter, driver) = (adapter.name, adapter.driver);
            let report = Report { version, device, adapter, driver, facts, quick, cases, failed, seconds, checks };
            json.write(&report)?;
        }
        if failed > 0 {
            return Err(Error::device(device, format!("{verdict}; what it computes can't be relied on")));
        }
        Ok(())
    }
}

fn say_check(check: &Outcome) {
    let Outcome { part, name, cases, tolerance_used, failures, seconds } = check;
    let verdict = match failures.len() {
        0 => format!("{tolerance_used:.3}"),
        failed => format!("{failed} FAILED"),
    };
    say(format_args!("{:<12} {name:<32} {cases:>6} {verdict:>13} {seconds:>8.2}", part.name()));
    for failure in failures.iter().take(TOLD) {
        say(format_args!("    {failure}"));
    }
    if failures.len() > TOLD {
        say(format_args!("    and {} more; --json has all", failures.len() - TOLD));
    }
}
