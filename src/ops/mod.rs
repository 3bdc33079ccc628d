//! The operations, one file a family; each is the one home of its shape rule, reference, gradient and kernel.
//!
//! An op is a struct that implements [`Operation`] and has one line in the registry below. The trait has no default for
//! what must not be forgotten, so an op without a reference, a gradient (or an explicit "no gradient"), a kernel or test
//! cases does not compile. Ops of other crates implement the same trait and enter through [`Custom`]. Nothing here does I/O or knows a device: [`Operation::kernel`] names WGSL fragments, numbers
//! and a count of workgroups, and the GPU back-end makes pipelines of them.

mod backward;
mod case;
mod numbers;
mod window2d;

pub use crate::gemm::{AdapterClass, Algorithm, DeviceProfile, Half, STORAGE_BUFFERS, Subgroups, TuningTable};
pub use crate::kernel::{ELEMENTWISE, Entry, Fragment, Grid, Kernel, MIN_WORKGROUP, REDUCTION, Scratch, Table};
pub use backward::{Backward, NodeId, Nodes};
pub use case::{Case, Fill};
pub use numbers::{Real, View};
pub use window2d::Window2d;

pub(crate) use crate::compute::{
    lane_sum, lane_sum_map, lane_sum_pairs, parallel_for, parallel_heavy_rows, parallel_row_sums, parallel_rows,
    vectorised,
};
pub(crate) use crate::kernel::fragment;

use crate::error::{Result, graph_error};
use crate::step::Step;
use crate::tensor::{DType, Shape};
use std::fmt::Debug;

/// What an op does besides computing a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// None: the op computes a value.
    Value,
    /// Updates its first `n` inputs in place; they are its outputs. Only leaves may be updated: host inputs, parameters, parts of
    /// an arena.
    Update(usize),
    /// `Update(n)` whose elements are independent, so that a back-end may process the values in parts; each input of the outputs'
    /// shape is cut alike.
    UpdateElements(usize),
    /// Writes the step's row of the metrics ring.
    Record,
}

impl Effect {
    /// How many of its first inputs it updates in place.
    pub fn updated(self) -> usize {
        match self {
            Effect::Update(count) | Effect::UpdateElements(count) => count,
            Effect::Value | Effect::Record => 0,
        }
    }
}

/// Everything there is to know of an op.
pub trait Operation: Debug + Sized {
    /// The op's name in messages and plans.
    const NAME: &'static str;

    /// The value's shape, or why these inputs do not fit.
    fn shape(&self, inputs: &[Shape]) -> Result<Shape>;

    /// The op on the CPU: in f64 the reference its kernel is tested against, in f32 the CPU path. Results depend on no
    /// thread count. `inputs` leave out what the op updates in place: those values are `outputs`, which else has the value.
    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]);

    /// The gradient with respect to each input, as new nodes.
    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>>;

    /// The op on a GPU. Bindings: 0 the step, then the inputs that are only read, then the outputs; of an update these are the
    /// inputs that it updates.
    fn kernel(&self, inputs: &[Shape], output: Shape, profile: &DeviceProfile) -> Kernel;

    /// What the op is tested and timed on: sizes around every tile edge, each attribute at least once.
    fn cases() -> Vec<Case>;

    /// What the op does besides computing a value.
    fn effect(&self) -> Effect {
        Effect::Value
    }

    /// The step's scalars that it reads.
    fn scalars(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// Whether it is a matmul; two of them may share a dispatch.
    fn is_matmul(&self) -> bool {
        false
    }

    /// The GEMMs that it is; none where it is no matmul.
    fn gemms(&self, _inputs: &[Shape]) -> Vec<Gemm> {
        Vec::new()
    }

    /// `[m, n, k]` by which a [`TuningTable`] knows it: those of its GEMM, or what spans all of them.
    fn tuned_as(&self, inputs: &[Shape]) -> Option<[usize; 3]> {
        self.gemms(inputs).first().map(|gemm| gemm.size)
    }

    /// Whether it may share a dispatch with matmuls: little work, in workgroups of any size.
    fn may_share(&self) -> bool {
        false
    }

    /// Whether its value is an activation of a network's, which its kernel can store in half precision.
    fn is_activation(&self) -> bool {
        false
    }

    /// Whether its kernel can load this input where that is stored in half precision.
    fn loads_half(&self, _input: usize) -> bool {
        false
    }

    /// [`Operation::NAME`].
    fn name(&self) -> &'static str {
        Self::NAME
    }

    /// How its inputs must be stored.
    fn reads(&self) -> DType {
        DType::F32
    }
}

macro_rules! registry {
    ($($module:ident: $($op:ident),+;)+) => {
        $(pub mod $module; pub use $module::{$($op),+};)+

        /// Any op.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "each variant is named after the op it holds")]
        pub enum Op { $($($op($op)),+),+ }

        $($(impl From<$op> for Op { fn from(op: $op) -> Op { Op::$op(op) } })+)+

        impl Op {
            /// The op's name in messages and plans.
            pub fn name(&self) -> &'static str {
                match self { $($(Op::$op(op) => op.name()),+),+ }
            }
            /// See [`Operation::shape`].
            pub fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
                match self { $($(Op::$op(op) => op.shape(inputs)),+),+ }
            }
            /// See [`Operation::reference`].
            pub fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
                match self { $($(Op::$op(op) => op.reference(step, inputs, outputs)),+),+ }
            }
            /// See [`Operation::gradient`].
            pub fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
                match self { $($(Op::$op(op) => op.gradient(back)),+),+ }
            }
            /// See [`Operation::kernel`].
            pub fn kernel(&self, inputs: &[Shape], output: Shape, profile: &DeviceProfile) -> Kernel {
                match self { $($(Op::$op(op) => op.kernel(inputs, output, profile)),+),+ }
            }
            /// See [`Operation::effect`].
            pub fn effect(&self) -> Effect {
                match self { $($(Op::$op(op) => op.effect()),+),+ }
            }
            /// See [`Operation::scalars`].
            pub fn scalars(&self) -> Vec<&'static str> {
                match self { $($(Op::$op(op) => op.scalars()),+),+ }
            }
            /// See [`Operation::is_matmul`].
            pub fn is_matmul(&self) -> bool {
                match self { $($(Op::$op(op) => op.is_matmul()),+),+ }
            }
            /// See [`Operation::gemms`].
            pub fn gemms(&self, inputs: &[Shape]) -> Vec<Gemm> {
                match self { $($(Op::$op(op) => op.gemms(inputs)),+),+ }
            }
            /// See [`Operation::tuned_as`].
            pub fn tuned_as(&self, inputs: &[Shape]) -> Option<[usize; 3]> {
                match self { $($(Op::$op(op) => op.tuned_as(inputs)),+),+ }
            }
            /// See [`Operation::may_share`].
            pub fn may_share(&self) -> bool {
                match self { $($(Op::$op(op) => op.may_share()),+),+ }
            }
            /// See [`Operation::is_activation`].
            pub fn is_activation(&self) -> bool {
                match self { $($(Op::$op(op) => op.is_activation()),+),+ }
            }
            /// See [`Operation::loads_half`].
            pub fn loads_half(&self, input: usize) -> bool {
                match self { $($(Op::$op(op) => op.loads_half(input)),+),+ }
            }
            /// See [`Operation::reads`].
            pub fn reads(&self) -> DType {
                match self { $($(Op::$op(op) => op.reads()),+),+ }
            }
            /// The test cases of every op in the registry.
            pub fn cases() -> Vec<Case> {
                [$($($op::cases()),+),+].concat()
            }
        }
    };
}

registry! {
    matmul: Matmul;
    conv2d: Conv2d, ConvTranspose2d, Conv2dWeightGradient;
    bias_activation: BiasActivation, ActivationGradient;
    activate: Activate;
    activation_curvature: ActivationCurvature;
    sum_rows: SumRows;
    repeat_interleave: RepeatInterleave, SegmentSum;
    one_hot_rows: OneHotRows;
    power_sum: PowerSum, PowerSumGradient;
    heaviside: Heaviside;
    reparameterise: Reparameterise, ReparameteriseGradient;
    softplus_posterior: SoftplusPosterior, SoftplusPosteriorGradient;
    kl: Kl, KlGradient;
    free_bits: KlColumns, KlColumnsGradient, FreeBits, FreeBitsGradient;
    monte_carlo_kl: MonteCarloKl, MonteCarloKlPosteriorGradient, MonteCarloKlSampleGradient;
    importance_bound: ImportanceBound, ImportanceBoundGradient;
    mixture_prior: MixturePrior, MixturePriorSampleGradient, MixturePriorComponentsGradient;
    bce_logits: BceLogits, BceLogitsGradient;
    continuous_bernoulli: ContinuousBernoulli, ContinuousBernoulliGradient, ContinuousBernoulliMean;
    discretised_logistic: DiscretisedLogistic, DiscretisedLogisticGradient, DiscretisedLogisticSlope;
    squared_error: SquaredError, SquaredErrorGradient;
    gaussian: Gaussian, GaussianErrorGradient, GaussianVarianceGradient, OptimalLogvar,
        OptimalLogvarGradient;
    moving_average: MovingAverage;
    constraint: Weigh, MoveWeight;
    batch_mean: BatchMean, BatchMeanGradient;
    add_scaled: AddScaled, Scale;
    pool: Pool, AveragePoolGradient, MaxPoolGradient;
    resize: Resize, ResizeGradient;
    norm: Moments, Statistics, Normalise, NormSums, NormParameterGradient, NormTerms, NormGradient, NormScaledGradient,
        RunningStatistics, UpdateRunning;
    constant: Constant;
    concat: Concat;
    narrow: Narrow;
    autoregressive_mask: AutoregressiveMask;
    whiten: Whiten, WhitenGradient;
    gather: Gather;
    augment: Augment;
    corrupt: Corrupt;
    normal: Normal;
    adam: Adam;
    accumulate: Accumulate;
    clip: SquareSums, ClipFactor;
    log_sum_exp: LogSumExpUpdate;
    record: Record;
    bound: PartialMean, ElboTerms, RecordElbo;
    custom: Custom;
}

impl Op {
    /// The largest of [`Op::cases`] for each op and its attributes.
    pub fn largest_cases() -> Vec<Case> {
        let mut largest: Vec<Case> = Vec::new();
        let size = |case: &Case| case.inputs.iter().map(|(shape, _)| shape.len()).sum::<usize>();
        for case in Op::cases() {
            match largest.iter_mut().find(|known| known.op == case.op) {
                Some(known) if size(known) >= size(&case) => {}
                Some(known) => *known = case,
                None => largest.push(case),
            }
        }
        largest
    }
}

pub use accumulate::KEEP;
pub use adam::{DECAY, SECOND_SCALE, STEP_SIZE};
pub use add_scaled::Factor;
pub use augment::Augmentation;
pub use autoregressive_mask::{Direction, Units};
pub use bias_activation::Activation;
pub(crate) use continuous_bernoulli::{NEAR, SERIES, logit_of_mean};
pub use corrupt::Noise;
pub use gather::{Order, Pixels};
pub use matmul::{Epilogue, FOUR, Gemm, Likelihood, Operand, Transpose};
pub use norm::{NormParameter, Over};
pub use pool::Pooling;
pub use power_sum::Norm;
pub(crate) use record::RECORDED;
pub use resize::Interpolation;

/// The inputs as an array, or an error that says how many the op takes.
fn arity<const N: usize>(name: &str, inputs: &[Shape]) -> Result<[Shape; N]> {
    match inputs.try_into() {
        Ok(shapes) => Ok(shapes),
        Err(_) => graph_error(format!("{name}: takes {N} inputs, got {}", inputs.len())),
    }
}

/// Both shapes, which must be equal.
fn same(name: &str, what: [&str; 2], a: Shape, b: Shape) -> Result<Shape> {
    if a == b {
        return Ok(a);
    }
    graph_error(format!("{name}: {} is {a}, {} is {b}: they must have one shape", what[0], what[1]))
}

/// The shape of a loss by example, `[batch, 1]`, of an output and a target of one shape.
fn loss_of(name: &str, what: [&str; 2], inputs: &[Shape]) -> Result<Shape> {
    let [output, target] = arity(name, inputs)?;
    same(name, what, output, target)?;
    Ok(Shape::new(output.rows(), 1))
}

/// The shape of its gradient by the output, of these two and d_loss.
fn loss_gradient_of(name: &str, what: [&str; 2], inputs: &[Shape]) -> Result<Shape> {
    let [output, target, d_loss] = arity(name, inputs)?;
    same(name, ["d_loss", "loss"], d_loss, Shape::new(output.rows(), 1))?;
    same(name, what, output, target)
}

/// The rule of its gradient: `op` of output, target and d_loss; the target is data.
fn loss_rule(name: &str, op: impl Into<Op>, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
    if back.wanted[1] {
        return back.none(name, "its target is data");
    }
    let inputs = [back.inputs[0], back.inputs[1], back.d_output];
    Ok(vec![Some(back.apply(op, &inputs)?), None])
}

/// The extents of images `[batch, height, width, channels]`.
fn images_of(name: &str, what: &str, x: Shape) -> Result<[usize; 4]> {
    match x.extents().try_into() {
        Ok(extents) => Ok(extents),
        Err(_) => graph_error(format!("{name}: {what} is {x}: it must be images [batch, height, width, channels]")),
    }
}

/// `[mean | logvar]` of `[batch, 2 latent]`: the latent size.
fn latent_of(name: &str, posterior: Shape) -> Result<usize> {
    if posterior.cols().is_multiple_of(2) {
        return Ok(posterior.cols() / 2);
    }
    graph_error(format!(
        "{name}: posterior is {posterior}: its columns are [mean | logvar], so their number must be even"
    ))
}
