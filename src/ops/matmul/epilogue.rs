//! Epilogues: what a GEMM does to its sums before it stores them, the ops that fusion lets it take over.

use super::*;
use crate::rng::Stream;

/// What is done to each sum. The inputs named here come after the two operands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Epilogue {
    /// Store it.
    Store,
    /// `activation(sum + bias[col])` is stored; input: the bias `[n]`.
    BiasActivation(Activation),
    /// `sum * slope(kept[row, col])` is stored; input: what the activation keeps `[m, n]`, its value or its argument.
    ActivationGradient(Activation),
    /// `y = activation(sum + bias[col])` is scored; stored is the gradient of the batch's mean loss with respect to the
    /// activation's argument, and as a second value `[m, ceil(n / 4)]` parts of which each row sums to that row's loss; how
    /// a row is cut is the back-end's. Inputs: the bias `[n]`, and what the target `[m, n]` is loaded from.
    Likelihood {
        /// How y is scored.
        score: Likelihood,
        /// The activation.
        activation: Activation,
        /// How the target is read.
        target: Operand,
    },
    /// The sum is d_z of a draw `z [m, n]` from a posterior: the gradient with respect to that posterior `[m, 2 n]` is
    /// stored, of the draw and of the weighted mean KL together; input: the posterior.
    Posterior {
        /// Where the draw's noise came from.
        stream: Stream,
        /// Rows an example, as of [`Reparameterise`].
        samples: usize,
        /// The weight of the mean KL in the loss.
        weight: Factor,
    },
}

/// How an output is scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likelihood {
    /// As [`BceLogits`] does.
    BceLogits,
    /// As [`ContinuousBernoulli`] does.
    ContinuousBernoulli,
    /// As [`SquaredError`] does.
    SquaredError,
}

/// Columns of sums that an epilogue takes together.
pub const FOUR: usize = crate::compute::COLS_PER_SECONDARY;

impl Epilogue {
    /// The value's shape, where that of the op's sums is `output`, or why the further inputs do not fit.
    pub(in crate::ops) fn shape(&self, name: &str, output: Shape, more: &[Shape]) -> Result<Shape> {
        let (m, n) = (output.rows(), output.cols());
        match self {
            Epilogue::Store => arity::<0>(name, more).map(|_| output),
            Epilogue::BiasActivation(_) => {
                let [bias] = arity(name, more)?;
                same(name, ["bias", "output row"], bias, Shape::of([n])).map(|_| output)
            }
            Epilogue::ActivationGradient(_) => {
                let [y] = arity(name, more)?;
                same(name, ["activated value", "output"], y, output)
            }
            Epilogue::Likelihood { target: load, .. } => {
                let [bias, target] = arity(name, more)?;
                same(name, ["bias", "output row"], bias, Shape::of([n]))?;
                same(name, ["target", "output"], load.shape(target), output)
            }
            Epilogue::Posterior { .. } => {
                let [posterior] = arity(name, more)?;
                same(name, ["posterior", "draw, twice as wide"], posterior, Shape::new(m, 2 * n))
            }
        }
    }

    /// The shape of the second value, where there is one.
    pub fn second(&self, [m, n]: [usize; 2]) -> Option<Shape> {
        match self {
            Epilogue::Likelihood { .. } => Some(Shape::new(m, n.div_ceil(FOUR))),
            _ => None,
        }
    }

    /// Whether the value is an activation, which kernels can store in half precision.
    pub(in crate::ops) fn is_activation(&self) -> bool {
        matches!(self, Epilogue::BiasActivation(_))
    }

    /// Whether kernels can load its input in half precision.
    pub(in crate::ops) fn loads_half(&self) -> bool {
        matches!(self, Epilogue::ActivationGradient(_))
    }

    /// Links what defines `epilogue`. Four columns are loaded and stored together where `n` is a multiple of four.
    pub(in crate::ops) fn link(&self, kernel: Kernel, more: &[Shape], n: usize) -> Kernel {
        let by_vec4 = n.is_multiple_of(4);
        let store = |kernel: Kernel, binding: usize| {
            let file = if by_vec4 { fragment!("gemm/store_c_vec4.wgsl") } else { fragment!("gemm/store_c.wgsl") };
            kernel.link(file).binding("C", binding)
        };
        let input = if by_vec4 { fragment!("gemm/epilogue_input_vec4.wgsl") } else { fragment!("gemm/epilogue_input.wgsl") };
        let activated = |kernel: Kernel, file: Fragment, activation: Activation, binding: usize| {
            let kernel = kernel.link(file).link(input).link(activation.fragment()).link(fragment!("common/math.wgsl"));
            store(kernel, binding)
        };
        match *self {
            Epilogue::Store => store(kernel.link(fragment!("gemm/epilogue_store.wgsl")), 3),
            Epilogue::BiasActivation(activation) => {
                activated(kernel, fragment!("gemm/epilogue_bias_activation.wgsl"), activation, 4)
            }
            Epilogue::ActivationGradient(activation) => {
                activated(kernel, fragment!("gemm/epilogue_activation_gradient.wgsl"), activation, 4)
            }
            Epilogue::Likelihood { score, activation, target } => {
                let kernel = activated(kernel, fragment!("gemm/epilogue_likelihood.wgsl"), activation, 5);
                let kernel = match score {
                    Likelihood::BceLogits => kernel.link(fragment!("gemm/likelihood_bce_logits.wgsl")),
                    Likelihood::ContinuousBernoulli => kernel
                        .link(fragment!("gemm/likelihood_continuous_bernoulli.wgsl"))
                        .link(fragment!("loss/cumulant.wgsl")),
                    Likelihood::SquaredError => kernel.link(fragment!("gemm/likelihood_squared_error.wgsl")),
                };
                match (target, by_vec4) {
                    (Operand::Gathered(gather), _) => {
                        let file = match by_vec4 {
                            true => fragment!("gemm/target_gathered_vec4.wgsl"),
                            false => fragment!("gemm/target_gathered.wgsl"),
                        };
                        gather.link_rows(kernel.link(file), more[1], by_vec4).binding("DATA", 4)
                    }
                    (Operand::Stored, true) => kernel.link(fragment!("gemm/target_stored_vec4.wgsl")),
                    (Operand::Stored, false) => kernel.link(fragment!("gemm/target_stored.wgsl")),
                }
                .link(fragment!("common/step.wgsl"))
            }
            Epilogue::Posterior { stream, samples, weight } => {
                let kernel = kernel.link(fragment!("gemm/epilogue_posterior.wgsl"));
                let kernel = Reparameterise { stream, samples }.link_noise(kernel);
                let kernel = kl::link_posterior(kernel, 2, n);
                weight.link(kernel)
            }
        }
    }
}

impl Likelihood {
    /// Scores a piece of one row of outputs, which become gradients; the sum of its losses.
    #[inline(always)]
    pub(super) fn score<T: Real>(self, activation: Activation, weight: T, y: &mut [T], target: &[T]) -> T {
        match self {
            Likelihood::BceLogits => activation.score_in_place(y, target, #[inline(always)] |y, x| {
                let (loss, d) = bce_logits::score(y, x);
                (loss, d * weight)
            }),
            Likelihood::ContinuousBernoulli => activation.score_in_place(y, target, #[inline(always)] |y, x| {
                let (loss, d) = continuous_bernoulli::score(y, x);
                (loss, d * weight)
            }),
            Likelihood::SquaredError => activation.score_in_place(y, target, #[inline(always)] |y, x| {
                ((y - x) * (y - x), (y - x) * (weight + weight))
            }),
        }
    }
}
