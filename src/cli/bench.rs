//! `vae-gpu bench`.

use clap::Args;

use super::{device, device_line, options, say, thousands};
use crate::backend::Device;
use crate::backend::cpu::Cpu;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::plan::{Fusion, Options};
use crate::train::bench::{WORKS, measure, plan};

/// Measure the speed of training steps on MNIST: 784-400-20-400-784 and 784-2048-64-2048-784
///
/// Images a second are the median over nine parts of a run; the limit is what the step's matrix products alone take.
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu bench --device gpu --json > bench.jsonl")]
pub(super) struct Bench {
    /// auto, cpu, gpu, or an adapter's index or name as `vae-gpu devices` lists them
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
    /// Measure this work only: standard-128, standard-1024 or wide-1024
    #[arg(long, value_name = "NAME", value_parser = WORKS.map(|work| work.name))]
    work: Option<String>,
    /// Seconds a work
    #[arg(long, value_name = "X", default_value_t = 10.0)]
    seconds: f64,
    /// Print a JSON object a work
    #[arg(long)]
    json: bool,
    /// Print the plans (a GPU's; the CPU's with --device cpu), and measure nothing
    #[arg(long, conflicts_with = "json")]
    plan: bool,
    /// Run each op by itself instead of fused ones
    #[arg(long)]
    no_fuse: bool,
}

impl Bench {
    pub(super) fn run(self) -> Result<()> {
        if !(0.1..=3600.0).contains(&self.seconds) {
            return Err(Error::Usage(format!("--seconds is {}: it must be 0.1 to 3600", self.seconds)));
        }
        let data = Dataset::embedded()?;
        let works = WORKS.iter().filter(|work| self.work.as_deref().is_none_or(|name| name == work.name));
        if self.plan {
            // Those of a GPU, unless the CPU is named: no device is opened for them.
            let fuse = match (self.no_fuse, self.device.as_str()) {
                (true, _) => Fusion::None,
                (false, "cpu") => Cpu::<f32>::new().fusion(),
                (false, _) => Fusion::All,
            };
            let options = Options { fuse };
            for work in works {
                say(format_args!("{}\n{}\n", work.name, plan(work, &data, options)?.1));
            }
            return Ok(());
        }
        let selected = device(&self.device)?;
        let options = options(&*selected.device, self.no_fuse);
        if !self.json {
            say(format_args!("{}", device_line(&selected)));
            say(format_args!(
                "{:<14} {:>10} {:>9} {:>11} {:>7} {:>8} {:>9} {:>12} {:>8}",
                "work", "images/s", "ms/step", "dispatches", "levels", "GFLOP/s", "of limit", "first step", "MB"
            ));
        }
        for work in works {
            let got = measure(work, &data, &*selected.device, options, self.seconds)?;
            if self.json {
                let line = serde_json::to_string(&got)
                    .map_err(|error| Error::Usage(format!("the result can't be written as JSON: {error}")))?;
                say(format_args!("{line}"));
                continue;
            }
            let rate = got.flops_per_step as f64 / got.ms_per_step / 1e6;
            say(format_args!(
                "{:<14} {:>10} {:>9.3} {:>11} {:>7} {:>8.1} {:>8.0}% {:>10.2} s {:>8.0}",
                got.work,
                thousands(got.images_per_s.round()),
                got.ms_per_step,
                got.dispatches_per_step,
                got.levels,
                rate,
                100.0 * got.share_of_limit,
                got.first_step_s,
                got.device_bytes as f64 / 1e6
            ));
        }
        Ok(())
    }
}
