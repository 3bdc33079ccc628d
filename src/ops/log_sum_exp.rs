//! The log of a sum of exponentials, gathered over any number of steps: what importance-weighted bounds on the likelihood
//! need (Burda, Grosse and Salakhutdinov 2016, equation 8), without keeping the log weights of more than one step.

use super::*;

/// `m' = max(m, max_j v[r k + j])`, `s' = s exp(m - m') + sum_j exp(v[r k + j] - m')` for `j < k`: inputs the state
/// `[n, 2]`, rows `(m, s)`, and log weights v `[n k, 1]` in nats, those of row r one after another.
///
/// It updates the state in place ([`Effect::Update`]). The host starts each row with [`LogSumExpUpdate::EMPTY`]; after any number of
/// steps `log sum exp` of all values of row r so far is `m + ln s`. Subtracting the largest value first is what keeps
/// `exp` within f32; s is at least 1 once there was a value, and at most their number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogSumExpUpdate {
    /// Values a row and step: k.
    pub samples: usize,
}

impl LogSumExpUpdate {
    /// A row of the state before any value.
    pub const EMPTY: [f32; 2] = [-1e30, 0.0];
}

impl Operation for LogSumExpUpdate {
    const NAME: &'static str = "log_sum_exp_update";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [state, v] = arity(Self::NAME, inputs)?;
        if state.cols() != 2 || self.samples == 0 || v != Shape::new(state.rows() * self.samples, 1) {
            return graph_error(format!(
                "log_sum_exp_update: the state is {state}, the values {v}, {} a row: the state must be [n, 2] and the \
                 values [n k, 1], with k at least 1",
                self.samples
            ));
        }
        Ok(state)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let v = inputs[0].values;
        parallel_rows(outputs[0], 2, #[inline(always)] |row, state| {
            let v = &v[row * self.samples..][..self.samples];
            let most = v.iter().fold(state[0], |most, &v| most.max(v));
            let sum = v.iter().fold(state[1] * (state[0] - most).e_to(), |sum, &v| sum + (v - most).e_to());
            state.copy_from_slice(&[most, sum]);
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "it updates in place")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::elementwise(fragment!("loss/log_sum_exp_update.wgsl"), output.rows()).constant("SAMPLES", self.samples)
    }

    fn cases() -> Vec<Case> {
        [(1, 1), (127, 1), (128, 3), (129, 70), (7, 521)]
            .map(|(rows, samples)| {
                let inputs = [([rows, 2], Fill::Unit), ([rows * samples, 1], Fill::Normal)];
                Case::new(LogSumExpUpdate { samples }, samples, &inputs)
            })
            .to_vec()
    }

    fn effect(&self) -> Effect {
        Effect::Update(1)
    }
}
