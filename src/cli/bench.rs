//! `vae-gpu bench`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use super::{device_line, device_with, options, say, thousands};
use crate::backend::{Device, Precision, TuningCache};
use crate::config::{PRESETS, TrainConfig, preset};
use crate::error::{Error, Result};
use crate::files::check_target;
use crate::ops::{Algorithm, DeviceProfile};
use crate::plan::{Fusion, Options, Plan, lower};
use crate::train::RunFolder;
use crate::train::bench::kernels::{self, KernelTime};
use crate::train::bench::products::{VariantSpeed, variants};
use crate::train::bench::tune::{Tuning, tune};
use crate::train::bench::{Measurement, WORKLOADS, Workload, measure, plans, work_plans};

/// Parts of a work's run, which share its seconds with one more that comes before them.
const PARTS: usize = 9;

/// Measure the speed of training steps: of dense models and a convolutional one on MNIST, of another on 64x64 colour
///
/// standard-128 and standard-1024 are 784-400-20-400-784, wide-1024 is 784-2048-64-2048-784, conv-28 the preset keras-conv,
/// conv-64 the preset of that name on noise.
/// Images a second are the median over nine parts of a run; the limit is what the step's matrix products alone take.
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu bench --device gpu --json > bench.jsonl")]
pub(super) struct Bench {
    /// auto, cpu, gpu, or an adapter's index or name as `vae-gpu devices` lists them
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
    /// Measure this work only
    #[arg(long, value_name = "NAME", value_parser = WORKLOADS.map(|work| work.name))]
    work: Option<String>,
    /// Seconds a work; --tune takes a fiftieth of it for each algorithm and size
    #[arg(long, value_name = "X", default_value_t = 10.0)]
    seconds: f64,
    /// Print a JSON object a work (with --kernels: a kernel; with --product: an algorithm; with --tune: a product)
    #[arg(long)]
    json: bool,
    /// Measure a part, print its seconds a step, and wait for a line of input before the next, until input ends: for scripts
    /// that let programs take turns
    #[arg(long, requires_all = ["json", "work"], conflicts_with_all = ["kernels", "plan", "tune"])]
    turns: bool,
    /// Time each dispatch of a step by itself
    #[arg(long)]
    kernels: bool,
    /// Time each algorithm on a product of M x K by K x N numbers, a fiftieth of the seconds each
    #[arg(long, value_name = "MxNxK", value_parser = product, conflicts_with_all = ["kernels", "plan", "tune", "turns", "work"])]
    product: Option<[usize; 3]>,
    /// Measure each algorithm on each matrix product of the works, or of a preset, a configuration or a run, and write the
    /// fastest ones to the adapter's profile, which later runs on it read; it takes minutes on a software adapter
    #[arg(long, conflicts_with_all = ["kernels", "no_fuse", "work"])]
    tune: bool,
    /// Tune the products of this preset
    #[arg(long, value_name = "NAME", requires = "tune", value_parser = PRESETS.iter().map(|preset| preset.0).collect::<Vec<_>>(), conflicts_with_all = ["config", "run"])]
    preset: Option<String>,
    /// Tune the products of this configuration, a TOML file
    #[arg(long, value_name = "FILE", requires = "tune", conflicts_with = "run")]
    config: Option<PathBuf>,
    /// Tune the products of this run
    #[arg(long, value_name = "RUN", requires = "tune")]
    run: Option<PathBuf>,
    /// Write the profile to this file; runs read it where VAE_GPU_PROFILE names it [default: the user's own, which they
    /// read unless VAE_GPU_PROFILE is another file, or none]
    #[arg(long, value_name = "FILE", requires = "tune")]
    profile: Option<PathBuf>,
    /// Print the plans (a GPU's; the CPU's with --device cpu) and what they are lowered to, and measure nothing
    #[arg(long, conflicts_with_all = ["json", "kernels", "tune"])]
    plan: bool,
    /// What activations are stored and products computed in
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    precision: Precision,
    /// Run each op by itself instead of fused ones
    #[arg(long)]
    no_fuse: bool,
}

impl Bench {
    pub(super) fn run(self, started: Instant) -> Result<()> {
        if !(0.1..=3600.0).contains(&self.seconds) {
            return Err(Error::Usage(format!("--seconds is {}: it must be 0.1 to 3600", self.seconds)));
        }
        if self.tune {
            return self.tune();
        }
        if self.plan {
            // Those of a GPU, unless the CPU is named; they are lowered for the adapter that is named, or for no one.
            let (options, lowered_for) = match self.device.as_str() {
                "auto" => {
                    let fuse = if self.no_fuse { Fusion::None } else { Fusion::All };
                    let lowered_for = ("WebGPU's default limits".to_owned(), DeviceProfile::default());
                    (Options { half: self.precision == Precision::F16, ..Options::new(fuse) }, Some(lowered_for))
                }
                name => {
                    let device = device_with(name, &TuningCache::of_user(), self.precision.into())?.device;
                    let lowered_for = device.profile().map(|profile| (device.name(), profile.clone()));
                    (options(&*device, self.no_fuse), lowered_for)
                }
            };
            for work in self.works() {
                let (_, plans) = work_plans(work, &work.dataset()?, options)?;
                for (plan, half) in plans.iter().zip(["gradients", "update"]) {
                    say(format_args!("{}, {half}\n{plan}\n", work.name));
                    if let Some((whose, profile)) = &lowered_for {
                        let recording = lower(plan, profile)?;
                        say(format_args!("{}, {half}, lowered for {whose}\n{recording}\n", work.name));
                    }
                }
            }
            return Ok(());
        }
        let selected = device_with(&self.device, &TuningCache::of_user(), self.precision.into())?;
        let options = options(&*selected.device, self.no_fuse);
        let startup = started.elapsed();
        if !self.json {
            say(format_args!("{}", device_line(&selected)));
        }
        if let Some(size) = self.product {
            return self.product(size, &*selected.device);
        }
        if self.kernels {
            return self.kernels(&*selected.device, options);
        }
        if !self.json {
            say(format_args!(
                "{:<14} {:>10} {:>9} {:>11} {:>8} {:>9} {:>12} {:>8}",
                "work", "images/s", "ms/step", "dispatches", "GFLOP/s", "of limit", "first step", "MB"
            ));
        }
        let part = self.seconds / (PARTS + 1) as f64;
        for work in self.works() {
            let mut parts = 0;
            let again = |step_s| {
                parts += 1;
                if self.turns { next_turn(step_s) } else { parts < PARTS }
            };
            let reading = Instant::now();
            let data = work.dataset()?;
            let startup = startup + reading.elapsed();
            let got = measure(work, &data, &*selected.device, options, part, startup, again)?;
            self.print(&got, say_work)?;
        }
        Ok(())
    }

    fn tune(&self) -> Result<()> {
        let kept = self.profile.clone().map_or_else(TuningCache::of_user, TuningCache::File);
        let selected = device_with(&self.device, &TuningCache::Nowhere, Precision::F32.into())?;
        let adapter = selected.device.adapter();
        if kept == TuningCache::Nowhere {
            kept.write(&adapter, &[])?; // says why it can't, before the work
        }
        if let Some(file) = &self.profile {
            check_target(file)?;
        }
        let plans = self.tuned_plans()?;
        if !self.json {
            say(format_args!("{}", device_line(&selected)));
            let names = Algorithm::ALL.map(|variant| format!("{:>10}", variant.name())).concat();
            say(format_args!("{:<15}{names}  GFLOP/s", "product"));
        }
        // Tens of sizes and a few algorithms each: a second each would be minutes.
        let seconds = self.seconds / 50.0;
        let tunings = tune(&plans, &*selected.device, seconds, |tuning| self.print(tuning, say_tuning))?;
        let path = kept.write(&adapter, &tunings.iter().map(Tuning::choice).collect::<Vec<_>>())?;
        if !self.json {
            say(format_args!("the fastest algorithms for {} products are in {}", tunings.len(), path.display()));
        }
        Ok(())
    }

    /// The training steps whose products are tuned.
    fn tuned_plans(&self) -> Result<Vec<Plan>> {
        let config = match (&self.preset, &self.config, &self.run) {
            (Some(name), ..) => TrainConfig::layered([preset(name)?])?,
            (_, Some(file), _) => TrainConfig::layered([TrainConfig::table(file)?])?,
            (.., Some(run)) => RunFolder::open(run)?.config()?,
            _ => {
                let of_works =
                    WORKLOADS.iter().map(|work| Ok(work_plans(work, &work.dataset()?, Options::default())?.1));
                return Ok(of_works.collect::<Result<Vec<_>>>()?.concat());
            }
        };
        Ok(plans(&config, &config.dataset()?, Options::default())?.1)
    }

    fn works(&self) -> impl Iterator<Item = &'static Workload> {
        WORKLOADS.iter().filter(|work| self.work.as_deref().is_none_or(|name| name == work.name))
    }

    /// A line of JSON, or what `table` says.
    fn print<T: Serialize>(&self, got: &T, table: impl Fn(&T)) -> Result<()> {
        if !self.json {
            table(got);
            return Ok(());
        }
        let line = serde_json::to_string(got)
            .map_err(|error| Error::Usage(format!("the result can't be written as JSON: {error}")))?;
        say(format_args!("{line}"));
        Ok(())
    }

    fn kernels(&self, device: &dyn Device, options: Options) -> Result<()> {
        for work in self.works() {
            let kernels = kernels::measure(work, &work.dataset()?, device, options, self.seconds)?;
            if !self.json {
                let ms: f64 = kernels.iter().map(|kernel| kernel.ms).sum();
                say(format_args!("\n{}: {} dispatches, {ms:.3} ms one by one", work.name, kernels.len()));
                say(format_args!(
                    "{:>8}  {:<30} {:>11} {:>15} {:>10} {:>7} {:>8} {:>7}",
                    "dispatch", "op", "output", "product", "us", "share", "GFLOP/s", "GB/s"
                ));
            }
            for kernel in &kernels {
                self.print(kernel, say_kernel)?;
            }
        }
        Ok(())
    }

    fn product(&self, size: [usize; 3], device: &dyn Device) -> Result<()> {
        if !self.json {
            say(format_args!("{:<16} {:>10} {:>8} {:>9}", times(size), "us", "GFLOP/s", "to naive"));
        }
        for speed in variants(size, device, self.seconds / 50.0)? {
            self.print(&speed, say_variant)?;
        }
        Ok(())
    }
}

/// `MxNxK`, each of a size whose operands a program can count.
fn product(text: &str) -> Result<[usize; 3], String> {
    const MOST: usize = 1 << 16;
    let sizes: Option<Vec<usize>> = text.split('x').map(|size| size.parse().ok()).collect();
    match sizes.as_deref() {
        Some(&[m, n, k]) if [m, n, k].iter().all(|size| (1..=MOST).contains(size)) => Ok([m, n, k]),
        _ => Err(format!("it must be three sizes of 1 to {MOST}, as 4096x4096x4096")),
    }
}

/// Says how fast a part was, and waits until there is a line of input, which may say anything: whether there is.
fn next_turn(step_s: f64) -> bool {
    say(format_args!("{step_s}"));
    std::io::stdin().read_line(&mut String::new()).is_ok_and(|bytes| bytes > 0)
}

fn say_work(got: &Measurement) {
    say(format_args!(
        "{:<14} {:>10} {:>9.3} {:>11} {:>8.1} {:>8.0}% {:>10.2} s {:>8.0}",
        got.work,
        thousands(got.images_per_s.round()),
        got.ms_per_step,
        got.dispatches_per_step,
        got.flops_per_step as f64 / got.ms_per_step / 1e6,
        100.0 * got.share_of_limit,
        got.first_step_s,
        got.device_bytes as f64 / 1e6
    ));
}

fn say_kernel(kernel: &KernelTime) {
    let [rows, cols] = kernel.output;
    say(format_args!(
        "{:>8}  {:<30} {:>11} {:>15} {:>10.1} {:>6.1}% {:>8} {:>7.2}",
        kernel.dispatch,
        kernel.op,
        format!("{rows}x{cols}"),
        kernel.product.map_or(String::new(), times),
        1e3 * kernel.ms,
        100.0 * kernel.share,
        kernel.gflops.map_or(String::new(), |gflops| format!("{gflops:.1}")),
        kernel.gb_per_s
    ));
}

fn say_variant(speed: &VariantSpeed) {
    say(format_args!(
        "{:<16} {:>10.1} {:>8.1} {:>9}",
        speed.variant,
        1e3 * speed.ms,
        speed.gflops,
        speed.ratio_to_naive.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"))
    ));
}

fn say_tuning(tuning: &Tuning) {
    // A column for each algorithm, whether the device can run it or not.
    let rate = |variant| {
        tuning.gflops.iter().find(|(of, _)| *of == variant).map_or("-".to_owned(), |(_, rate)| format!("{rate:.1}"))
    };
    let rates: String = Algorithm::ALL.map(|variant| format!("{:>10}", rate(variant))).concat();
    say(format_args!("{:<15}{rates}  {}", times(tuning.product), tuning.variant.name()));
}

/// `[m, n, k]` as `mxnxk`.
fn times([m, n, k]: [usize; 3]) -> String {
    format!("{m}x{n}x{k}")
}
