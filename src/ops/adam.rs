//! Adam (Kingma and Ba 2015, algorithm 1; epsilon where PyTorch has it), one pass over consecutive parameters of a model.
//!
//! With decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2, as PyTorch's AdamW has it: parameters shrink
//! first), and with gradients that [`ClipFactor`] scales.

use super::*;

/// Scalar of the step: the learning rate over the first bias correction, `rate / (1 - beta1^t)`.
pub const STEP_SIZE: &str = "adam.step-size";
/// Scalar of the step: the second bias correction, `1 / sqrt(1 - beta2^t)`.
pub const SECOND_SCALE: &str = "adam.second-scale";
/// Scalar of the step: the factor of weight decay, `1 - rate weight_decay`.
pub const DECAY: &str = "adam.decay";

/// The update of parameters p and moments m and v from gradients: inputs p, m, v and gradients, all `[1, n]` with n a multiple of
/// four, and where gradients are to be scaled a factor `[1, 1]`.
///
/// `g = factor gradient`, `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`,
/// `p = decay p - step_size m / (sqrt(v) second_scale + eps)`, with the scalars [`DECAY`], [`STEP_SIZE`] and [`SECOND_SCALE`].
/// It updates its first three inputs in place ([`Effect::UpdateElements`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
}

impl Default for Adam {
    fn default() -> Adam {
        Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }
}

impl Adam {
    /// [`STEP_SIZE`] and [`SECOND_SCALE`] of update number `t` (from 1) at this rate.
    pub fn corrected(&self, rate: f64, t: u64) -> [(&'static str, f64); 2] {
        // 1 - beta^t without cancellation, for any t.
        let correction = |beta: f64| -(t as f64 * beta.ln()).exp_m1();
        [(STEP_SIZE, rate / correction(self.beta1)), (SECOND_SCALE, 1.0 / correction(self.beta2).sqrt())]
    }
}

impl Operation for Adam {
    const NAME: &'static str = "adam";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let (values, factor) = inputs.split_at(inputs.len().min(4));
        let [parameters, first, second, gradients] = arity(Self::NAME, values)?;
        for (what, shape) in [("first moment", first), ("second moment", second), ("gradients", gradients)] {
            same(Self::NAME, [what, "parameters"], shape, parameters)?;
        }
        if parameters.rows() != 1 || !parameters.cols().is_multiple_of(FOUR) {
            return graph_error(format!("adam: the parameters are {parameters}: they must be [1, n], n a multiple of 4"));
        }
        if factor.len() > 1 {
            return graph_error(format!("adam: takes 4 inputs, or 5 with a clip factor, got {}", inputs.len()));
        }
        for &factor in factor {
            same(Self::NAME, ["factor", "a scalar"], factor, Shape::SCALAR)?;
        }
        Ok(parameters)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        const PART: usize = 1 << 13;
        let [parameters, first, second] = outputs else { unreachable!("adam updates three values") };
        let [b1, b2, epsilon] = [self.beta1, self.beta2, self.epsilon].map(T::from_f64);
        let [c1, c2] = [1.0 - self.beta1, 1.0 - self.beta2].map(T::from_f64);
        let [step_size, scale, decay] = [STEP_SIZE, SECOND_SCALE, DECAY].map(|name| T::from_f64(step.scalar(name)));
        let factor = inputs.get(1).map_or(T::one(), |factor| factor.values[0]);
        let moments = first.chunks_mut(PART).zip(second.chunks_mut(PART));
        let parts = parameters.chunks_mut(PART).zip(moments).zip(inputs[0].values.chunks(PART));
        parallel_for(parts, |((p, (m, v)), g)| {
            vectorised(#[inline(always)] || {
                for (((p, m), v), &g) in p.iter_mut().zip(m).zip(v).zip(g) {
                    let g = g * factor;
                    // Kept in locals: to load m and v right after the store stalls where a vector straddles two cache
                    // lines.
                    let (first, second) = (b1 * *m + c1 * g, b2 * *v + c2 * g * g);
                    *p = decay * *p - step_size * first / (second.sqrt() * scale + epsilon);
                    (*m, *v) = (first, second);
                }
            });
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "it updates in place")
    }

    fn kernel(&self, inputs: &[Shape], _: Shape, _: &DeviceProfile) -> Kernel {
        // One vec4 an invocation: arenas are padded to whole ones.
        let mut kernel = Kernel::elementwise(fragment!("optim/adam.wgsl"), inputs[0].len() / FOUR).link(fragment!("common/step.wgsl"));
        kernel = kernel.link(match inputs.len() {
            1 => fragment!("optim/adam_unclipped.wgsl"),
            _ => fragment!("optim/adam_clipped.wgsl"),
        });
        let decays = [("BETA1", self.beta1), ("BETA2", self.beta2), ("EPSILON", self.epsilon)];
        kernel.constants.extend(decays);
        kernel.constants.extend([("GAIN1", 1.0 - self.beta1), ("GAIN2", 1.0 - self.beta2)]);
        kernel.scalar("DECAY", DECAY).scalar("STEP_SIZE", STEP_SIZE).scalar("SECOND_SCALE", SECOND_SCALE)
    }

    fn cases() -> Vec<Case> {
        // It updates three values, and a case reads one: tests/kernels.rs runs it over arenas.
        Vec::new()
    }

    fn scalars(&self) -> Vec<&'static str> {
        vec![DECAY, STEP_SIZE, SECOND_SCALE]
    }

    fn effect(&self) -> Effect {
        Effect::UpdateElements(3)
    }
}
