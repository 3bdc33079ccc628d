//! Squared error, summed over pixels: the negative log-likelihood of a Gaussian of variance 1/2, up to a constant.

use super::*;

/// `loss[r] = sum_c (y - x)^2`: inputs the output y and the target x, both `[batch, pixels]`; value `[batch, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SquaredError;

impl Operation for SquaredError {
    const NAME: &'static str = "squared_error";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        loss_of(Self::NAME, ["output", "target"], inputs)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (output, target) = (inputs[0], inputs[1]);
        parallel_row_sums(outputs[0], output.shape, #[inline(always)] |row| {
            let (y, x) = (output.row(row), target.row(row));
            lane_sum_pairs(y, x, #[inline(always)] |y, x| (y - x) * (y - x))
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        loss_rule(Self::NAME, SquaredErrorGradient, back)
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::reduction(fragment!("loss/squared_error.wgsl"), output.rows())
            .of_length(inputs[0].cols())
            .storing(2)
            .constant("COLS", inputs[0].cols())
    }

    fn cases() -> Vec<Case> {
        [[1, 1], [63, 65], [128, 784], [3, 131]]
            .map(|size| Case::new(SquaredError, size[1], &[(size, Fill::Normal), (size, Fill::Unit)]))
            .to_vec()
    }
}

/// `d_y = 2 (y - x) d_loss[r]`: inputs output, target and d_loss `[batch, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SquaredErrorGradient;

impl Operation for SquaredErrorGradient {
    const NAME: &'static str = "squared_error_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        loss_gradient_of(Self::NAME, ["output", "target"], inputs)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (output, target, d_loss) = (inputs[0], inputs[1], inputs[2]);
        parallel_rows(outputs[0], output.shape.cols(), #[inline(always)] |row, out| {
            let twice = d_loss.values[row] + d_loss.values[row];
            let terms = output.row(row).iter().zip(target.row(row));
            for (d, (&y, &x)) in out.iter_mut().zip(terms) {
                *d = twice * (y - x);
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::elementwise(fragment!("loss/squared_error_gradient.wgsl"), output.len()).constant("COLS", output.cols())
    }

    fn cases() -> Vec<Case> {
        [[1, 1], [63, 65], [128, 784]]
            .map(|size| {
                let inputs = [(size, Fill::Normal), (size, Fill::Unit), ([size[0], 1], Fill::Normal)];
                Case::new(SquaredErrorGradient, 2, &inputs)
            })
            .to_vec()
    }
}
