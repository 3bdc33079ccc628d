//! How fast training steps are: some works on one device beside what the device's products alone would take.
//!
//! [`measure`] times whole steps, [`kernels::measure`] each dispatch of one, [`products::variants`] each algorithm for
//! products, and [`tune::tune`] finds the fastest of those for each product of
//! some plans.

pub mod kernels;
pub mod products;
pub mod tune;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::fit;
use super::queue::Queue;
use super::schedule::training_steps;
use crate::backend::{Device, ProgramId, Session, median};
use crate::config::{TrainConfig, preset_text as preset};
use crate::data::{Dataset, ImageSize};
use crate::error::Result;
use crate::graph::PARAMETERS;
use crate::models::{Batches, Model};
use crate::ops::Gemm;
use crate::plan::{Options, Plan, compile};
use crate::step::Step;
use crate::train::ModelInput;

/// Workload whose speed is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Its name.
    pub name: &'static str,
    /// The text of its configuration file.
    pub config: &'static str,
    /// The size of the made-up images that it is run on; none where these are the digits.
    pub image: Option<ImageSize>,
}

/// The works that are measured.
pub const WORKLOADS: [Workload; 5] = [
    Workload { name: "standard-128", config: "batch-size = 128", image: None },
    Workload { name: "standard-1024", config: "batch-size = 1024", image: None },
    Workload { name: "wide-1024", config: "hidden = [2048]\nlatent = 64\nbatch-size = 1024", image: None },
    Workload { name: "conv-28", config: preset!("keras-conv"), image: None },
    Workload {
        name: "conv-64",
        config: preset!("conv-64"),
        image: Some(ImageSize { height: 64, width: 64, channels: 3 }),
    },
];

/// Made-up images of a work.
const MADE_UP: usize = 1024;

impl Workload {
    /// What it trains.
    fn config(&self) -> TrainConfig {
        let table = self.config.parse().expect("a work's configuration is TOML");
        TrainConfig::layered([table]).expect("a work's configuration is one")
    }

    /// The data that it is run on.
    ///
    /// # Errors
    /// Where the embedded digits can't be read.
    pub fn dataset(&self) -> Result<Dataset> {
        match self.image {
            Some(size) => Ok(Dataset::noise(size, MADE_UP)),
            None => Dataset::embedded(),
        }
    }
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// The work's name.
    pub work: &'static str,
    /// The device's name, for people.
    pub device: String,
    /// The GPU's or the processor's own name.
    pub adapter: String,
    /// The driver and its version; none on the CPU path.
    pub driver: Option<String>,
    /// Images trained a second: the median over the parts of the run.
    pub images_per_s: f64,
    /// Milliseconds a step, likewise.
    pub ms_per_step: f64,
    /// Dispatches a step.
    pub dispatches_per_step: usize,
    /// Multiplications and additions of the step's products; nothing else is counted.
    pub flops_per_step: u64,
    /// Seconds that the step's products take alone, of factors without a zero, over the step's, in turns of which this is the
    /// median: 1 is a step that costs nothing else. The CPU path leaves out terms that are zero, so that a step of sparse
    /// images may come out above it.
    pub share_of_limit: f64,
    /// Seconds from the process's start to the end of the first step: reading data, opening the device, then this work's
    /// plan, buffers, kernels and one step. Of several works in a process, each is counted as if it were the first; what
    /// a driver keeps of kernels it has seen helps the later ones.
    pub first_step_s: f64,
    /// Bytes of arenas, activations and data on the device.
    pub device_bytes: u64,
    /// The most bytes of memory that the process, host side, has held until the last part, earlier works among it (Linux:
    /// `VmHWM`); none where the system does not tell.
    pub peak_resident_bytes: Option<u64>,
    /// The program's version.
    pub version: &'static str,
}

/// Steps between two looks at the clock, at most.
const LONGEST: usize = 32;
/// Turns that steps and their products take with each other.
const LIMIT_TURNS: usize = 7;

/// The plans of the work's training step on this data.
///
/// # Errors
/// Where the data has fewer images than a batch.
pub fn work_plans(work: &Workload, data: &Dataset, options: Options) -> Result<(Model, Vec<Plan>)> {
    plans(&work.config(), data, options)
}

/// The steps of the work's first epoch on this data, of whole batches only, so that every step is the same work.
pub fn work_steps(work: &Workload, data: &Dataset) -> Vec<Step> {
    let config = work.config();
    let count = data.train.count() / config.batch_size * config.batch_size;
    training_steps(&config, count as u32, 0, 0)
}

/// The plans of a configuration's training step on this data, which is resident.
///
/// # Errors
/// Where the configuration or the data break a rule.
pub fn plans(config: &TrainConfig, data: &Dataset, options: Options) -> Result<(Model, Vec<Plan>)> {
    config.validate()?;
    config.validate_data(data)?;
    let model = Model::new(config.architecture_for(&data.schema)?)?;
    let whole = Batches::new(0, data.train.count(), data.train.dtype(), config.batch_size);
    let batches = Batches { pixels: config.pixels(), ..whole };
    let graphs = model.training(&batches, &config.optimiser())?;
    let plans = graphs.iter().map(|graph| compile(graph, options)).collect::<Result<_>>()?;
    Ok((model, plans))
}

/// A work on a device, ready to run steps.
struct Ready {
    session: Box<dyn Session>,
    programs: Vec<ProgramId>,
    steps: Vec<Step>,
}

impl Ready {
    fn new(work: &Workload, data: &Dataset, device: &dyn Device, model: &Model, plans: Vec<Plan>) -> Result<Ready> {
        let mut session = device.session(model.layout(), &[data.train.resident()])?;
        let programs = plans.into_iter().map(|plan| session.load(plan)).collect::<Result<Vec<_>>>()?;
        session.write_arena(PARAMETERS, &model.layout().initial(0))?;
        Ok(Ready { session, programs, steps: work_steps(work, data) })
    }
}

/// What each of a work's first steps records, one after another.
///
/// # Errors
/// What the device fails with.
pub fn first_losses(
    work: &Workload,
    data: &Dataset,
    device: &dyn Device,
    options: Options,
    steps: usize,
) -> Result<Vec<f64>> {
    let (model, plans) = work_plans(work, data, options)?;
    let mut ready = Ready::new(work, data, device, &model, plans)?;
    Ok(ready.session.run(&ready.programs, &ready.steps[..steps])?.values().to_vec())
}

/// Measures a work in parts of about so many seconds, after one that does not count. `again` is told the seconds a step of
/// each part, and says whether there is another. `startup` is how long the process has run until here, in which nothing was
/// done but what any work needs.
///
/// # Errors
/// What the device fails with.
pub fn measure(
    work: &Workload,
    data: &Dataset,
    device: &dyn Device,
    options: Options,
    part: f64,
    startup: Duration,
    mut again: impl FnMut(f64) -> bool,
) -> Result<Measurement> {
    let began = Instant::now();
    let (model, plans) = work_plans(work, data, options)?;
    let products: Vec<Gemm> = plans.iter().flat_map(products::of).collect();
    let device_bytes = fit::bytes(model.layout(), &plans) + data.train.pixels.bytes() as u64;
    let Ready { mut session, programs, steps } = Ready::new(work, data, device, &model, plans)?;
    session.run(&programs, &steps[..1])?;
    let first_step_s = (startup + began.elapsed()).as_secs_f64();
    let dispatches_per_step = {
        let mut dispatched = |count: usize| -> Result<u64> {
            let before = session.counters();
            session.run(&programs, &steps[..1].repeat(count))?;
            Ok((session.counters() - before).dispatches)
        };
        // What is computed once a submission is no step's.
        let one = dispatched(1)?;
        (dispatched(2)? - one) as usize
    };

    let mut queue = Queue::default();
    let (mut at, mut len) = (0, 1);
    let mut run = |session: &mut dyn Session, seconds: f64| -> Result<f64> {
        let (began, limit) = (Instant::now(), Duration::from_secs_f64(seconds));
        let mut done = 0;
        while done == 0 || began.elapsed() < limit {
            let chunk: Vec<Step> = (0..len).map(|i| steps[(at + i) % steps.len()]).collect();
            let before = began.elapsed();
            queue.run(session, None, &programs, &chunk, |_, _| Ok(ControlFlow::Continue(())))?;
            at += len;
            done += len;
            // Enough for several submissions, few enough to stop in time.
            len = if 4 * (began.elapsed() - before) < limit { (2 * len).min(LONGEST) } else { len };
        }
        Ok(began.elapsed().as_secs_f64() / done as f64)
    };
    run(&mut *session, part)?; // what is built on first use, and the length of a submission
    let mut times = Vec::new();
    while times.last().is_none_or(|&last| again(last)) {
        times.push(run(&mut *session, part)?);
    }
    let step_s = median(&mut times);
    let peak_resident_bytes = peak_resident_bytes(); // of training; the products have operands of their own
    // In turns, so that a machine whose speed wanders slows both.
    let mut alone = products::Alone::new(device, &products)?;
    let mut shares = Vec::new();
    for _ in 0..LIMIT_TURNS {
        shares.push(alone.seconds(part / 2.0)? / run(&mut *session, part / 2.0)?);
    }
    let adapter = device.adapter();
    Ok(Measurement {
        work: work.name,
        device: device.name(),
        adapter: adapter.name,
        driver: adapter.driver,
        images_per_s: work.config().batch_size as f64 / step_s,
        ms_per_step: 1e3 * step_s,
        dispatches_per_step,
        flops_per_step: products.iter().map(|product| product.flops()).sum(),
        share_of_limit: median(&mut shares),
        first_step_s,
        device_bytes,
        peak_resident_bytes,
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// What Linux says of this process; other systems have no such file.
fn peak_resident_bytes() -> Option<u64> {
    peak_of(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// The bytes of the line `VmHWM:    2048 kB`.
fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::Cpu;
    use crate::data::Synthetic;

    pub(super) const TINY: Workload =
        Workload { name: "tiny", config: "hidden = [8]\nlatent = 2\nbatch-size = 16", image: None };

    #[test]
    fn a_measurement_is_made_of_real_steps() {
        let data = Dataset::synthetic(Synthetic::Uniform, 64, 16, 0);
        let startup = Duration::from_secs(3);
        let got = measure(&TINY, &data, &Cpu::<f32>::new(), Options::default(), 0.005, startup, |_| false).unwrap();
        assert!(got.images_per_s > 0.0 && got.share_of_limit > 0.0, "{got:?}");
        assert!(got.first_step_s > 3.0 && got.first_step_s < 60.0, "{got:?}");
        assert!(!got.adapter.is_empty() && got.driver.is_none(), "{got:?}");
        assert_eq!(got.dispatches_per_step, 20);
        if cfg!(target_os = "linux") {
            assert!(got.peak_resident_bytes.unwrap() > 1 << 20, "{got:?}");
        }
    }

    #[test]
    fn the_peak_is_read_in_bytes() {
        assert_eq!(peak_of("Name:\tx\nVmPeak:\t  99 kB\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"), Some(2048 * 1024));
        assert_eq!(peak_of("Name:\tx\n"), None);
        assert_eq!(peak_of("VmHWM:\t many kB\n"), None);
    }
}
