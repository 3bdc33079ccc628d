//! What runs a [`Plan`]: the CPU (f32, and f64 as the reference) or a GPU, behind one interface.
//!
//! A [`Session`] holds one model's arenas and data sets on one device, and the programs loaded over them. A program runs
//! many steps a submission; what a step records comes back when the submission is [finished](Session::finish), so that
//! one can run while another is prepared.

pub mod cpu;
pub mod gpu;
pub mod profile;
mod select;

pub use gpu::AdapterReport;
pub use profile::{CachedTuning, TunedKernel, TuningCache};
pub use select::{DeviceChoice, Selected, adapters, auto_choice, select, select_with};

use crate::error::{Error, Result};
use crate::graph::ParameterLayout;
use crate::ops::{DeviceProfile, Real, TuningTable};
use crate::plan::{BufferView, Fusion, Options, Plan};
pub use crate::step::MAX_STEPS;
use crate::step::Step;
use crate::tensor::{DType, Shape};
use std::ops::Range;

/// A loaded plan of a [`Session`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramId(pub(crate) usize);

/// Bytes, dispatches and submissions since a session began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Dispatches; on the CPU, ops.
    pub dispatches: u64,
    /// Submissions to the device's queue; 0 on the CPU.
    pub submissions: u64,
    /// Bytes written to the device; 0 on the CPU.
    pub bytes_to_device: u64,
    /// Bytes read back from the device; 0 on the CPU.
    pub bytes_from_device: u64,
}

impl std::ops::Sub for Counters {
    type Output = Counters;
    fn sub(self, before: Counters) -> Counters {
        Counters {
            dispatches: self.dispatches - before.dispatches,
            submissions: self.submissions - before.submissions,
            bytes_to_device: self.bytes_to_device - before.bytes_to_device,
            bytes_from_device: self.bytes_from_device - before.bytes_from_device,
        }
    }
}

/// The values of a [`Data`] set, row-major.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// Bytes, resident as bytes.
    Bytes(&'a [u8]),
    /// Real numbers, resident as f32 on a GPU.
    Reals(&'a [f32]),
    /// Real numbers in half precision, resident so on a GPU.
    Halves(&'a [half::f16]),
}

impl<'a> Values<'a> {
    /// How they are stored.
    pub fn dtype(&self) -> DType {
        match self {
            Values::Bytes(_) => DType::U8,
            Values::Reals(_) => DType::F32,
            Values::Halves(_) => DType::F16,
        }
    }

    /// How many there are.
    fn len(&self) -> usize {
        match self {
            Values::Bytes(bytes) => bytes.len(),
            Values::Reals(reals) => reals.len(),
            Values::Halves(halves) => halves.len(),
        }
    }

    /// Writes the real numbers, as the CPU has them; none of bytes.
    fn write_reals<T: Real>(&self, to: &mut [T]) {
        match self {
            Values::Bytes(_) => {}
            Values::Reals(reals) => {
                to.iter_mut().zip(*reals).for_each(|(to, &real)| *to = T::from_f64(f64::from(real)))
            }
            Values::Halves(halves) => {
                to.iter_mut().zip(*halves).for_each(|(to, half)| *to = T::from_f64(half.to_f64()))
            }
        }
    }

    /// A list of them.
    fn reals<T: Real>(&self) -> Vec<T> {
        let mut reals = vec![T::zero(); self.len() - self.bytes().len()];
        self.write_reals(&mut reals);
        reals
    }

    /// The bytes, of a set that is stored so.
    fn bytes(&self) -> &'a [u8] {
        match self {
            Values::Bytes(bytes) => bytes,
            Values::Reals(_) | Values::Halves(_) => &[],
        }
    }

    /// Their bytes, as a GPU has them.
    pub fn as_bytes(&self) -> &'a [u8] {
        match self {
            Values::Bytes(bytes) => bytes,
            Values::Reals(reals) => bytemuck::cast_slice(reals),
            Values::Halves(halves) => bytemuck::cast_slice(halves),
        }
    }
}

/// A data set to make resident: `[examples, features]`.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    /// Examples and features.
    pub shape: Shape,
    /// What they are.
    pub values: Values<'a>,
}

impl Data<'_> {
    /// How its values are stored.
    pub fn dtype(&self) -> DType {
        self.values.dtype()
    }
}

/// What a device computes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter {
    /// The GPU's or the CPU's own name.
    pub name: String,
    /// The driver and its version; a CPU has none.
    pub driver: Option<String>,
}

/// A device that sessions can be opened on.
pub trait Device {
    /// Its name, for people: "cpu (2 threads)", "NVIDIA H200 (Vulkan, driver 580.1)".
    fn name(&self) -> String;

    /// How plans are compiled that this device runs many times.
    fn options(&self) -> Options {
        Options::new(Fusion::All)
    }

    /// What it computes on.
    fn adapter(&self) -> Adapter;

    /// The same device with these algorithms for products of these sizes, and the rule for all others; nothing where it can't run
    /// one of them (the CPU runs none of them).
    fn with_tuning(&self, tuning: TuningTable) -> Option<Box<dyn Device>>;

    /// Bytes that one buffer of a session may take (a data set, the parameters, an activation), where there is such a limit.
    fn binding_limit(&self) -> Option<u64> {
        None
    }

    /// What plans are lowered for; none where they run as they are.
    fn profile(&self) -> Option<&DeviceProfile> {
        None
    }

    /// Opens a session: an arena of parameters of this layout, all zero, and these data sets. Programs bring further arenas.
    ///
    /// # Errors
    /// Where the device cannot hold them.
    fn session(&self, layout: &ParameterLayout, data: &[Data<'_>]) -> Result<Box<dyn Session>>;
}

/// Precision of activations and of products; everything else is f32: data, weights, gradients, sums, what an optimiser keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32-bit floats
    #[default]
    F32,
    /// GPUs only: activations stored in 16-bit floats, and factors of products rounded to them where the adapter has
    /// cooperative matrices that a kernel fits
    F16,
}

/// What the steps of a submission recorded: a row a step, with the metrics of its programs, one after another, in the order
/// of their plans ([`Plan::metrics`]). Of a VAE loss, reconstruction and divergence, in nats an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    columns: usize,
    values: Vec<f64>,
}

impl Recorded {
    /// Rows of so many values.
    pub(crate) fn new(columns: usize, values: Vec<f64>) -> Recorded {
        Recorded { columns, values }
    }

    /// The rows, in the order of the steps; none where nothing is recorded.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks_exact(self.columns.max(1))
    }

    /// All values, row after row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Rows of the programs' rings, side by side; `value` is that of a ring's element.
    fn gather(rings: &[usize], steps: usize, mut value: impl FnMut(usize, usize) -> f64) -> Recorded {
        let columns = rings.iter().sum();
        let mut values = Vec::with_capacity(steps * columns);
        for step in 0..steps {
            for (ring, &width) in rings.iter().enumerate() {
                values.extend((0..width).map(|column| value(ring, step * width + column)));
            }
        }
        Recorded { columns, values }
    }
}

/// The row of a step.
impl std::ops::Index<usize> for Recorded {
    type Output = [f64];
    fn index(&self, step: usize) -> &[f64] {
        &self.values[step * self.columns..][..self.columns]
    }
}

/// A submission under way; give it to [`Session::finish`].
#[derive(Debug)]
pub struct Submission {
    pub(crate) state: SubmissionState,
}

#[derive(Debug)]
pub(crate) enum SubmissionState {
    Done(Recorded),
    Gpu(gpu::PendingRecord),
}

/// One model on one device.
pub trait Session {
    /// Loads a plan; everything that can be built once is built here. Programs are numbered in this order, from 0.
    fn load(&mut self, plan: Plan) -> Result<ProgramId>;

    /// Cuts a program in two: what follows this group ([`Plan::groups`]) becomes a program of its own, which runs right behind it, so
    /// that a host can have what is computed by then. Nothing else may run between them.
    ///
    /// # Errors
    /// [`Error::Graph`] where both parts would record something.
    fn split(&mut self, program: ProgramId, group: usize) -> Result<ProgramId>;

    /// Whether a submission runs while the host goes on; else it is done when it is submitted.
    fn runs_ahead(&self) -> bool;

    /// Starts a run of one to [`MAX_STEPS`] steps: each step runs every program, in this order (a GAN's discriminator,
    /// then its generator), each of which may be there once. The programs of a step read the same [`Step`].
    ///
    /// # Errors
    /// Where a step lacks a scalar that a program reads; where the device fails.
    fn submit(&mut self, programs: &[ProgramId], steps: &[Step]) -> Result<Submission>;

    /// From now on each step goes to the device in this many submissions, as far as it has ops: on a slow device a step of a
    /// large model may take so long that the system takes the device for hung. The CPU has no use for it.
    fn split_steps(&mut self, submissions_per_step: usize) {
        let _ = submissions_per_step;
    }

    /// Waits for a submission and returns what its steps recorded.
    fn finish(&mut self, submission: Submission) -> Result<Recorded>;

    /// Replaces an arena's values; padding between parameters stays 0, whatever is given for it.
    ///
    /// # Errors
    /// Where no program has an arena of this name (that of the parameters is always there), or for another number of values.
    fn write_arena(&mut self, name: &str, values: &[f32]) -> Result<()>;

    /// Reads an arena's values, after everything submitted.
    ///
    /// # Errors
    /// Where no program has an arena of this name.
    fn read_arena(&mut self, name: &str) -> Result<Vec<f32>>;

    /// Reads these elements of an arena, after everything submitted.
    ///
    /// # Errors
    /// As [`Session::read_arena`].
    ///
    /// # Panics
    /// Where the arena does not have them.
    fn read_arena_part(&mut self, name: &str, part: Range<usize>) -> Result<Vec<f32>>;

    /// Replaces the first values of a data set; submissions made before still read the old ones.
    ///
    /// # Errors
    /// Where there is no such set, it holds values of another kind, or fewer.
    fn write_data(&mut self, index: usize, values: Values<'_>) -> Result<()>;

    /// Replaces a program's input.
    fn write_input(&mut self, program: ProgramId, name: &str, values: &[f32]) -> Result<()>;

    /// Reads a program's output, after everything submitted.
    fn read_output(&mut self, program: ProgramId, name: &str) -> Result<Vec<f32>>;

    /// Dispatches of a step of a program; on the CPU its ops.
    fn dispatches(&self, program: ProgramId) -> usize;

    /// What went over the bus so far.
    fn counters(&self) -> Counters;

    /// With [`gpu::GpuOptions::checks`]: whether all kernels kept to their buffers so far. There is nothing to check on the CPU.
    ///
    /// # Errors
    /// [`Error::Device`] that names the buffer which a kernel wrote past.
    fn check_guards(&mut self) -> Result<()> {
        Ok(())
    }

    /// Runs a step of one program, once to warm up and then `repeats` times (1 or more), and returns the seconds that each
    /// group of its dispatches took ([`Plan::groups`]), in the order of the plan: medians. On a GPU they come from its own clock, with a pass a
    /// dispatch, so that none overlaps another. The step's effects (an update, say) happen each time.
    ///
    /// # Errors
    /// [`Error::Device`] where the device cannot time a dispatch.
    fn profile(&mut self, program: ProgramId, step: &Step, repeats: usize) -> Result<Vec<f64>>;

    /// Runs the steps and waits.
    fn run(&mut self, programs: &[ProgramId], steps: &[Step]) -> Result<Recorded> {
        let submission = self.submit(programs, steps)?;
        self.finish(submission)
    }
}

/// The middle one, the larger of two; there is at least one.
pub(crate) fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// What is behind an input's or output's name.
fn named<'a, V>(mut known: impl Iterator<Item = (&'a str, V)> + Clone, name: &str) -> Result<V> {
    let names = known.clone().map(|(known, _)| known);
    match known.find(|(known, _)| *known == name) {
        Some((_, value)) => Ok(value),
        None => {
            let known: Vec<&str> = names.collect();
            Err(Error::Graph(format!("there is no value named {name}; there is {}", known.join(", "))))
        }
    }
}

/// Checks that a submission has 1 to [`MAX_STEPS`] steps, and each program once.
fn check_submission(programs: &[ProgramId], steps: &[Step]) -> Result<()> {
    if !(1..=MAX_STEPS).contains(&steps.len()) {
        return Err(Error::Graph(format!("a submission of {} steps: it must have 1 to {MAX_STEPS}", steps.len())));
    }
    match (1..programs.len()).find(|&at| programs[..at].contains(&programs[at])) {
        None => Ok(()),
        Some(at) => Err(Error::Graph(format!("{:?} is there twice: a step runs a program once", programs[at]))),
    }
}

/// Checks that not both parts of a program record something.
fn check_records(first: bool, second: bool) -> Result<()> {
    match first && second {
        true => Err(Error::Graph("a program whose parts both record something can't be split".to_owned())),
        false => Ok(()),
    }
}

/// Checks that `len` values fit a buffer of `expected` elements.
fn check_len(what: &str, len: usize, expected: usize) -> Result<()> {
    if len == expected {
        return Ok(());
    }
    Err(Error::Graph(format!("{what}: got {len} values, it holds {expected}")))
}

/// Values that replace the first ones of a held data set.
fn check_data(held: &[(Shape, DType)], index: usize, values: &Values<'_>) -> Result<()> {
    match held.get(index) {
        Some((shape, dtype)) if *dtype == values.dtype() && shape.len() >= values.len() => Ok(()),
        _ => Err(Error::Graph(format!(
            "{} values of {:?} can't replace those of data set {index}; the session holds {held:?}",
            values.len(),
            values.dtype()
        ))),
    }
}

/// The plan's data sets are the session's.
fn check_datasets(plan: &Plan, held: &[(Shape, DType)]) -> Result<()> {
    for &(index, shape, dtype) in &plan.datasets {
        if held.get(index) != Some(&(shape, dtype)) {
            return Err(Error::Graph(format!(
                "the plan reads data set {index} of {shape}, {dtype:?}; the session holds {held:?}"
            )));
        }
    }
    Ok(())
}
