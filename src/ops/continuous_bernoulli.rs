//! The continuous Bernoulli of Loaiza-Ganem and Cunningham 2019 ("The continuous Bernoulli: fixing a pervasive error in
//! variational autoencoders"): binary cross-entropy as the density of values in [0, 1] that it would be with its
//! normaliser, `C(l) = l / tanh(l / 2)` of a logit l.
//!
//! It is an exponential family, `log p(x | l) = l x - A(l)`, `A(l) = softplus(l) - log C(l) = log((exp(l) - 1) / l)`; the derivative
//! of A is the mean.

use super::*;

/// `loss[r] = sum_c A(l) - l x` in nats: inputs logits and targets in [0, 1], both `[batch, pixels]`; value `[batch, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ContinuousBernoulli;

impl Operation for ContinuousBernoulli {
    const NAME: &'static str = "continuous_bernoulli";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        loss_of(Self::NAME, ["logits", "target"], inputs)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (logits, target) = (inputs[0], inputs[1]);
        parallel_row_sums(outputs[0], logits.shape, #[inline(always)] |row| {
            let (l, x) = (logits.row(row), target.row(row));
            lane_sum_pairs(l, x, #[inline(always)] |l, x| score(l, x).0)
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        loss_rule(Self::NAME, ContinuousBernoulliGradient, back)
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::reduction(fragment!("loss/continuous_bernoulli.wgsl"), output.rows())
            .of_length(inputs[0].cols())
            .storing(2)
            .link(fragment!("loss/cumulant.wgsl"))
            .constant("COLS", inputs[0].cols())
    }

    fn cases() -> Vec<Case> {
        [([1, 1], Fill::Normal), ([63, 65], Fill::Normal), ([128, 784], Fill::Normal), ([3, 131], Fill::Wide)]
            .map(|(size, logits)| Case::new(ContinuousBernoulli, size[1], &[(size, logits), (size, Fill::Unit)]))
            .to_vec()
    }
}

/// `d_l = (A'(l) - x) d_loss[r]`: inputs logits, targets and d_loss `[batch, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ContinuousBernoulliGradient;

impl Operation for ContinuousBernoulliGradient {
    const NAME: &'static str = "continuous_bernoulli_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        loss_gradient_of(Self::NAME, ["logits", "target"], inputs)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (logits, target, d_loss) = (inputs[0], inputs[1], inputs[2]);
        parallel_rows(outputs[0], logits.shape.cols(), #[inline(always)] |row, out| {
            let d_loss = d_loss.values[row];
            let terms = logits.row(row).iter().zip(target.row(row));
            for (d, (&l, &x)) in out.iter_mut().zip(terms) {
                *d = score(l, x).1 * d_loss;
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::elementwise(fragment!("loss/continuous_bernoulli_gradient.wgsl"), output.len())
            .link(fragment!("loss/cumulant.wgsl"))
            .constant("COLS", output.cols())
    }

    fn cases() -> Vec<Case> {
        [([1, 1], Fill::Normal), ([63, 65], Fill::Wide), ([128, 784], Fill::Normal)]
            .map(|(size, logits)| {
                let inputs = [(size, logits), (size, Fill::Unit), ([size[0], 1], Fill::Normal)];
                Case::new(ContinuousBernoulliGradient, 2, &inputs)
            })
            .to_vec()
    }
}

/// `y = A'(l) = 1 / (1 - exp(-l)) - 1 / l`, the mean of the distribution of logit l: x of any shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ContinuousBernoulliMean;

impl Operation for ContinuousBernoulliMean {
    const NAME: &'static str = "continuous_bernoulli_mean";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [logits] = arity(Self::NAME, inputs)?;
        Ok(logits)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let logits = inputs[0];
        parallel_rows(outputs[0], logits.shape.cols(), #[inline(always)] |row, y| {
            y.iter_mut().zip(logits.row(row)).for_each(|(y, &l)| *y = cumulant(l).1);
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "losses read the logits themselves")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::elementwise(fragment!("loss/continuous_bernoulli_mean.wgsl"), output.len())
            .link(fragment!("loss/cumulant.wgsl"))
    }

    fn cases() -> Vec<Case> {
        [([1, 1], Fill::Normal), ([63, 65], Fill::Wide), ([128, 131], Fill::Normal)]
            .map(|(size, logits)| Case::new(ContinuousBernoulliMean, 2, &[(size, logits)]))
            .to_vec()
    }
}

/// The logit of the distribution that has this mean, which must lie above 0 and below 1.
pub(crate) fn logit_of_mean(mean: f64) -> f64 {
    // A mean of m below 1/2 has a logit of about -1 / m.
    let most = 2.0 / mean.min(1.0 - mean);
    let (mut low, mut high) = (-most, most);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if cumulant(middle).1 < mean { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The size of a logit below which series take the place of forms that cancel; that of `loss/cumulant.wgsl` too.
pub(crate) const NEAR: f64 = 0.5;

/// `c_n = B_2n / (2n)!` of the series `A(l) = l / 2 + sum_n c_n l^2n / 2n`, whose next term is below 1e-17 where l is [`NEAR`].
pub(crate) const SERIES: [f64; 7] = [
    1.0 / 12.0,
    -1.0 / 720.0,
    1.0 / 30_240.0,
    -1.0 / 1_209_600.0,
    1.0 / 47_900_160.0,
    -691.0 / 1_307_674_368_000.0,
    1.0 / 74_724_249_600.0,
];

/// `c_n / 2n`, the coefficients of A.
const INTEGRATED: [f64; 7] = {
    let mut terms = SERIES;
    let mut at = 0;
    while at < terms.len() {
        terms[at] /= (2 * at + 2) as f64;
        at += 1;
    }
    terms
};

/// `sum_n c_n q^(n - 1)`, written out so that loops around it vectorise; f32 has no digits for more than four terms.
#[inline(always)]
fn series<T: Real>(q: T, c: [f64; 7]) -> T {
    let [c0, c1, c2, c3, c4, c5, c6] = c.map(T::from_f64);
    let rest = if size_of::<T>() == 4 { c3 } else { c3 + q * (c4 + q * (c5 + q * c6)) };
    c0 + q * (c1 + q * (c2 + q * rest))
}

/// The loss of one pixel, of logit `l` and target `x`, and its derivative.
#[inline(always)]
pub(super) fn score<T: Real>(l: T, x: T) -> (T, T) {
    let (value, mean) = cumulant(l);
    (value - l * x, mean - x)
}

/// `A(l)` and its derivative, the mean.
#[inline(always)]
pub(super) fn cumulant<T: Real>(l: T) -> (T, T) {
    let (one, half, near) = (T::one(), T::from_f64(0.5), T::from_f64(NEAR));
    let square = l * l;
    let (value, slope) = (series(square, INTEGRATED), series(square, SERIES));
    let is_near = l.abs() < near;
    let size = if is_near { near } else { l.abs() };
    let (e, inverse) = ((-size).e_to(), one / size);
    let tail = inverse - e / (one - e);
    let above = if l > T::zero() { (l, one - tail) } else { (T::zero(), tail) };
    let far = (above.0 + ((one - e) * inverse).natural_log(), above.1);
    if is_near { (l * half + square * value, half + l * slope) } else { far }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_have_their_logits() {
        assert!(logit_of_mean(0.5).abs() < 1e-12);
        for mean in [0.001, 0.05, 0.3, 0.499, 0.52, 0.9, 0.999] {
            let logit = logit_of_mean(mean);
            assert!((cumulant(logit).1 - mean).abs() < 1e-12 && (logit > 0.0) == (mean > 0.5), "{mean}: {logit}");
        }
    }
}
