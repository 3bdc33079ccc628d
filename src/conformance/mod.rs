//! The conformance suite: whether a device computes what it must. `vae-gpu check` runs it on a user's adapter, the project's tests
//! on theirs, and whoever brings an op or a device of their own may run its parts.
//!
//! Everything is compared with the CPU: ops with their reference in f64, ten fused steps of every model with the CPU's in f64, the
//! first steps of real works with those in f64, as near as the CPU path comes to them in f32. Nothing here knows how a device
//! computes. The tolerances are named values with their reason ([`Tolerance`]).
//!
//! Read for this part: the WebGPU conformance suite, which states for every built-in function an error that it derives, and
//! PyTorch's OpInfo, one description of an op that correctness, gradients and speed share, as [`Case`] is here.

mod op;
mod steps;
mod tolerance;

pub use op::{a_step, agreement, agreement_in_half, dataset, fill, folded, inputs, plan_in_half, reference, rows, run};
pub use steps::{CaseData, EXAMPLES, ROWS, Trained, batches, images, ten_steps, ten_steps_agree};
pub use tolerance::Tolerance;

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

use crate::backend::Device;
use crate::backend::cpu::Cpu;
use crate::models::ModelConfig;
use crate::ops::{Algorithm, Case, Epilogue, Matmul, Op};
use crate::tensor::Shape;
use crate::train::bench::{WORKLOADS, Workload, first_losses};

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Each op, alone, with its reference in f64.
    Op,
    /// Each algorithm for products, likewise.
    Algorithm,
    /// Ten fused steps of a small model with the CPU's in f64.
    Model,
    /// The same steps twice, in submissions of ten and of one: the same bytes.
    Determinism,
    /// More workgroups than a dimension has, values as large as a binding may be.
    Limit,
    /// The first steps of a real work with those in f64.
    Work,
}

impl Part {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Part::Op => "op",
            Part::Algorithm => "algorithm",
            Part::Model => "model",
            Part::Determinism => "determinism",
            Part::Limit => "limit",
            Part::Work => "work",
        }
    }
}

/// What was compared under one name.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// What kind of thing it is.
    pub part: Part,
    /// The op, the algorithm, the model, ...
    pub name: String,
    /// Comparisons.
    pub cases: usize,
    /// The most of its tolerance that a comparison used which passed, 0 to 1.
    pub tolerance_used: f64,
    /// Those that failed: which, and what is wrong.
    pub failures: Vec<String>,
    /// What it took.
    pub seconds: f64,
}

impl Outcome {
    fn new(part: Part, name: &str) -> Outcome {
        let (cases, tolerance_used, failures) = (0, 0.0, Vec::new());
        Outcome { part, name: name.to_owned(), cases, tolerance_used, failures, seconds: 0.0 }
    }

    /// Runs one more comparison.
    fn compare(&mut self, what: &str, run: impl FnOnce() -> Result<f64, String>) {
        let began = Instant::now();
        self.cases += 1;
        match run() {
            Ok(used) => self.tolerance_used = self.tolerance_used.max(used),
            Err(why) => self.failures.push(format!("{what}: {why}")),
        }
        self.seconds += began.elapsed().as_secs_f64();
    }
}

/// A device to check.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// As it is used.
    pub device: &'a dyn Device,
    /// The same with injected bounds checks, poisoned buffers and guard words, where it is a GPU: `GpuOptions::checks`.
    pub checked: Option<&'a dyn Device>,
    /// The same with activations in half precision, and products in f16 where it has cooperative matrices, where it is a GPU:
    /// [`Precision::F16`](crate::backend::Precision::F16).
    pub half: Option<&'a dyn Device>,
}

/// The largest value that is tried, of what a binding may hold.
const LARGEST: u64 = 1 << 30;
/// The smallest that is, where the adapter has no memory for more.
const LEAST_LARGE: u64 = 1 << 26;
/// Steps of a work.
const WORK_STEPS: usize = 10;

/// Runs the suite; `seen` hears of each check when it is done. With `quick` the largest case of each op and its attributes,
/// models without clipping, and the first work alone. A device that is lost ends it: the last check says so.
pub fn check(subject: &Subject<'_>, quick: bool, mut seen: impl FnMut(&Outcome)) -> Vec<Outcome> {
    let products = products(quick);
    let checks = ops(subject, quick)
        .chain(algorithms(subject, &products))
        .chain(subject.half.filter(|half| multiplies_halves(*half)).map(|device| half(device, &products)))
        .chain(models(subject, quick))
        .chain(limits(subject))
        .chain(works(subject, quick));
    let mut done: Vec<Outcome> = Vec::new();
    for mut check in checks {
        let lost = if check.failures.is_empty() { None } else { run(&op::smallest(), subject.device).err() };
        if let Some(error) = &lost {
            check.failures.push(format!("nothing runs any more, so nothing else was tried: {error}"));
        }
        seen(&check);
        done.push(check);
        if lost.is_some() {
            break;
        }
    }
    done
}

/// The registry's cases, or the largest of each op and attribute.
fn cases(quick: bool) -> Vec<Case> {
    if quick { Op::largest_cases() } else { Op::cases() }
}

/// Each op as it is used, and with injected checks.
fn ops<'a>(subject: &'a Subject<'_>, quick: bool) -> impl Iterator<Item = Outcome> + 'a {
    let mut by_name: BTreeMap<&str, Vec<Case>> = BTreeMap::new();
    for case in cases(quick) {
        by_name.entry(case.op.name()).or_default().push(case);
    }
    by_name.into_iter().map(|(name, cases)| {
        let mut check = Outcome::new(Part::Op, name);
        for case in cases {
            let wanted = reference(&case).map_err(|error| error.to_string());
            for (device, how) in [(Some(subject.device), ""), (subject.checked, ", with injected checks")] {
                let Some(device) = device else { continue };
                check.compare(&format!("{case}{how}"), || agreement(&case, wanted.as_ref()?, device));
            }
            if let Some(used) = subject.half.and_then(|device| agreement_in_half(&case, device).transpose()) {
                check.compare(&format!("{case}, in half precision"), || used);
            }
        }
        check
    })
}

/// A product, the size that a tuning knows it by, and its value in f64.
type Product = (Case, [usize; 3], Result<Vec<f64>, String>);

/// The products of the registry that end in a store: epilogues know nothing of algorithms.
fn products(quick: bool) -> Vec<Product> {
    let stored = |case: &Case| !matches!(case.op, Op::Matmul(Matmul { epilogue, .. }) if epilogue != Epilogue::Store);
    let product = |case: Case| {
        let shapes: Vec<Shape> = case.inputs.iter().map(|(shape, _)| *shape).collect();
        let size = case.op.tuned_as(&shapes)?;
        let wanted = reference(&case).map_err(|error| error.to_string());
        Some((case, size, wanted))
    };
    cases(quick).into_iter().filter(stored).filter_map(product).collect()
}

/// Each algorithm that the device runs, on every product.
fn algorithms<'a>(subject: &'a Subject<'_>, products: &'a [Product]) -> impl Iterator<Item = Outcome> + 'a {
    Algorithm::ALL.into_iter().filter_map(move |algorithm| {
        let device = subject.checked.unwrap_or(subject.device);
        let mut check = Outcome::new(Part::Algorithm, algorithm.name());
        for (case, size, wanted) in products {
            let device = device.with_tuning([(*size, algorithm)].into())?;
            check.compare(&case.to_string(), || agreement(case, wanted.as_ref()?, &*device));
        }
        Some(check)
    })
}

/// Whether a device has cooperative matrices.
fn multiplies_halves(device: &dyn Device) -> bool {
    device.profile().is_some_and(|profile| profile.half.is_some())
}

/// Every product in f16.
fn half(device: &dyn Device, products: &[Product]) -> Outcome {
    let mut check = Outcome::new(Part::Algorithm, "cooperative matrices, f16");
    for (case, _, wanted) in products {
        check.compare(&case.to_string(), || {
            let got = run(case, device).map_err(|error| error.to_string())?;
            Tolerance::halves(case.terms).compare(&got, wanted.as_ref()?)
        });
    }
    check
}

/// Each small model: ten steps against f64, and the same bytes every time.
fn models<'a>(subject: &'a Subject<'_>, quick: bool) -> impl Iterator<Item = Outcome> + 'a {
    let options = subject.device.options();
    ModelConfig::cases().into_iter().flat_map(move |(name, config)| {
        let mut model = Outcome::new(Part::Model, name);
        for clip in [None, Some(0.05)].into_iter().take(if quick { 1 } else { 2 }) {
            let what = clip.map_or("ten steps".to_owned(), |clip| format!("ten steps, gradients clipped at {clip}"));
            model.compare(&what, || ten_steps_agree(subject.device, &config, clip, options));
        }
        // Cooperative matrices round every operand, by more than ten steps forgive: their products are compared one by one.
        if let Some(device) = subject.half.filter(|device| !multiplies_halves(*device)) {
            model.compare("ten steps in half precision", || ten_steps_agree(device, &config, None, device.options()));
        }
        let mut determinism = Outcome::new(Part::Determinism, name);
        determinism.compare("ten steps", || steps::determinism(subject.device, &config).map(|()| 0.0));
        [model, determinism]
    })
}

fn limits<'a>(subject: &'a Subject<'_>) -> impl Iterator<Item = Outcome> + 'a {
    let limits: [fn(&dyn Device) -> Outcome; 2] = [workgroups, largest_value];
    limits.into_iter().map(|limit| limit(subject.device))
}

fn workgroups(device: &dyn Device) -> Outcome {
    let (mut check, case) = (Outcome::new(Part::Limit, "workgroups"), folded());
    check.compare(&case.to_string(), || {
        let wanted = reference(&case).map_err(|error| error.to_string())?;
        agreement(&case, &wanted, device)
    });
    check
}

fn largest_value(device: &dyn Device) -> Outcome {
    let mut check = Outcome::new(Part::Limit, "largest value");
    let mut bytes = device.binding_limit().unwrap_or(LARGEST).min(LARGEST);
    let began = Instant::now();
    // An adapter may have less memory than it lets a binding have.
    let mut sums = op::sums_of_a_large_value(bytes, device);
    while sums.is_err() && bytes > LEAST_LARGE {
        bytes /= 2;
        sums = op::sums_of_a_large_value(bytes, device);
    }
    check.compare(&format!("sums over {} MiB", bytes >> 20), || {
        let (got, wanted) = sums.map_err(|error| error.to_string())?;
        // Whole numbers that f32 holds: none may be off.
        Tolerance { relative: 0.0, absolute: f64::MIN_POSITIVE }.compare(&got, &wanted)
    });
    check.seconds = began.elapsed().as_secs_f64();
    check
}

/// The first steps of the works that `bench` measures.
fn works<'a>(subject: &'a Subject<'_>, quick: bool) -> impl Iterator<Item = Outcome> + 'a {
    WORKLOADS.iter().take(if quick { 1 } else { WORKLOADS.len() }).map(|work| {
        let mut check = Outcome::new(Part::Work, work.name);
        check.compare(&format!("{WORK_STEPS} steps"), || work_agreement(work, subject.device));
        check
    })
}

fn work_agreement(work: &Workload, device: &dyn Device) -> Result<f64, String> {
    let data = work.dataset().map_err(|error| error.to_string())?;
    let losses = |device: &dyn Device| {
        let options = device.options();
        first_losses(work, &data, device, options, WORK_STEPS).map_err(|error| error.to_string())
    };
    let (near, wanted) = (losses(&Cpu::<f32>::new())?, losses(&Cpu::<f64>::new())?);
    Tolerance::as_near(&near, &wanted).compare(&losses(device)?, &wanted)
}
