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

    /// Links what defines `epilogue`.
    pub(in crate::ops) fn link(&self, mut kernel: Kernel, more: &[Shape], [m, n]: [usize; 2]) -> Kernel {
        debug_assert!(m > 0 && n > 0);
        match *self {
            Epilogue::Store => kernel.link(fragment!("gemm/epilogue_store.wgsl")),
            Epilogue::BiasActivation(activation) => kernel
                .link(fragment!("gemm/epilogue_bias_activation.wgsl"))
                .link(activation.fragment())
                .link(fragment!("common/math.wgsl")),
            Epilogue::ActivationGradient(activation) => kernel
                .link(fragment!("gemm/epilogue_activation_gradient.wgsl"))
                .link(activation.fragment())
                .link(fragment!("common/math.wgsl")),
            Epilogue::Likelihood { score, activation, target } => {
                kernel = kernel.link(fragment!("gemm/epilogue_likelihood.wgsl")).link(match score {
                    Likelihood::BceLogits => fragment!("gemm/likelihood_bce_logits.wgsl"),
                    Likelihood::SquaredError => fragment!("gemm/likelihood_squared_error.wgsl"),
                });
                kernel = kernel.link(activation.fragment()).link(fragment!("common/math.wgsl"));
                match target {
                    Operand::Gathered(gather) => gather
                        .link_rows(kernel.link(fragment!("gemm/target_gathered.wgsl")), more[1])
                        .binding("DATA", 4),
                    _ => kernel.link(fragment!("gemm/target_stored.wgsl")).link(fragment!("common/step.wgsl")),
                }
            }
            Epilogue::Posterior { stream, samples, weight } => {
                kernel = Reparameterise { stream, samples }.link_noise(kernel.link(fragment!("gemm/epilogue_posterior.wgsl")));
                kernel = kl::link_posterior(kernel, 2, n);
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
            Likelihood::SquaredError => activation.score_in_place(y, target, #[inline(always)] |y, x| {
                ((y - x) * (y - x), (y - x) * (weight + weight))
            }),
        }
    }
}
