//! Binary cross-entropy from logits, summed over pixels, in the form that overflows nowhere.

use super::*;

/// `loss[r] = sum_c max(l, 0) - l x + log1p(exp(-|l|))` in nats: inputs logits and targets in [0, 1], both
/// `[batch, pixels]`; value `[batch, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BceLogits;

impl Operation for BceLogits {
    const NAME: &'static str = "bce_logits";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        loss_of(Self::NAME, ["logits", "target"], inputs)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (logits, target) = (inputs[0], inputs[1]);
        parallel_row_sums(outputs[0], logits.shape, #[inline(always)] |row| {
            let (l, x) = (logits.row(row), target.row(row));
            lane_sum_pairs(l, x, loss)
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        loss_rule(Self::NAME, BceLogitsGradient, back)
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::reduction(fragment!("loss/bce_logits.wgsl"), output.rows())
            .of_length(inputs[0].cols())
            .storing(2)
            .link(fragment!("common/math.wgsl"))
            .constant("COLS", inputs[0].cols())
    }

    fn cases() -> Vec<Case> {
        [[1, 1], [63, 65], [128, 784], [3, 131]]
            .map(|size| Case::new(BceLogits, size[1], &[(size, Fill::Normal), (size, Fill::Unit)]))
            .to_vec()
    }
}

/// `d_l = (sigmoid(l) - x) d_loss[r]`: inputs logits, targets and d_loss `[batch, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BceLogitsGradient;

impl Operation for BceLogitsGradient {
    const NAME: &'static str = "bce_logits_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        loss_gradient_of(Self::NAME, ["logits", "target"], inputs)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (logits, target, d_loss) = (inputs[0], inputs[1], inputs[2]);
        parallel_rows(outputs[0], logits.shape.cols(), #[inline(always)] |row, out| {
            let d_loss = d_loss.values[row];
            let terms = logits.row(row).iter().zip(target.row(row));
            for (d, (&l, &x)) in out.iter_mut().zip(terms) {
                *d = (Activation::Sigmoid.value(l) - x) * d_loss;
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::elementwise(fragment!("loss/bce_logits_gradient.wgsl"), output.len())
            .link(fragment!("common/math.wgsl"))
            .constant("COLS", output.cols())
    }

    fn cases() -> Vec<Case> {
        [[1, 1], [63, 65], [128, 784]]
            .map(|size| {
                Case::new(BceLogitsGradient, 2, &[(size, Fill::Normal), (size, Fill::Unit), ([size[0], 1], Fill::Normal)])
            })
            .to_vec()
    }
}

/// The loss of one pixel, of logit `l` and target `x`.
#[inline(always)]
pub(super) fn loss<T: Real>(l: T, x: T) -> T {
    l.max(T::zero()) - l * x + (-l.abs()).e_to().log1p_unit()
}

/// [`loss`], and its derivative `sigmoid(l) - x`, of one `exp`.
#[inline(always)]
pub(super) fn score<T: Real>(l: T, x: T) -> (T, T) {
    let e = (-l.abs()).e_to();
    let above = if l > T::zero() { T::one() } else { e };
    (l.max(T::zero()) - l * x + e.log1p_unit(), above / (T::one() + e) - x)
}
