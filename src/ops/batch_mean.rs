//! The mean over the rows that count: where a short last batch is masked ([`KlColumns`] does so for each column).
//!
//! Its gradient is zero for the other rows, so nothing behind it needs to know of the mask.

use super::*;

/// `y = sum_{r < rows} x[r] / rows`, rows being the step's: input `[batch, 1]`, value `[1, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchMean;

impl Operation for BatchMean {
    const NAME: &'static str = "batch_mean";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(Self::NAME, inputs)?;
        if x.cols() != 1 {
            return graph_error(format!("batch_mean: x is {x}: it takes one column, a number an example"));
        }
        Ok(Shape::SCALAR)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let x = inputs[0].values;
        let sum = lane_sum(x.len().min(step.rows as usize), #[inline(always)] |r| x[r]);
        outputs[0][0] = sum / T::from_f64(f64::from(step.rows));
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let batch = back.shape(back.inputs[0]).rows();
        Ok(vec![Some(back.apply(BatchMeanGradient { batch }, &[back.d_output])?)])
    }

    fn kernel(&self, inputs: &[Shape], _: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::reduction(fragment!("reduce/batch_mean.wgsl"), 1).batch_means(inputs[0].rows(), 1, 1)
    }

    fn cases() -> Vec<Case> {
        [1, 63, 64, 65, 128, 1021].map(|batch| Case::new(BatchMean, batch, &[([batch, 1], Fill::Normal)])).to_vec()
    }
}

/// `d_x[r] = d_y / rows` where `r < rows`, else 0: input `[1, 1]`, value `[batch, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchMeanGradient {
    /// Rows of the batch, those that do not count among them.
    pub batch: usize,
}

impl Operation for BatchMeanGradient {
    const NAME: &'static str = "batch_mean_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [d_y] = arity(Self::NAME, inputs)?;
        same(Self::NAME, ["d_y", "a mean"], d_y, Shape::SCALAR)?;
        Ok(Shape::new(self.batch, 1))
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let share = inputs[0].values[0] / T::from_f64(f64::from(step.rows));
        for (row, d_x) in outputs[0].iter_mut().enumerate() {
            *d_x = if row < step.rows as usize { share } else { T::zero() };
        }
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(back.apply(BatchMean, &[back.d_output])?)])
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::elementwise(fragment!("reduce/batch_mean_gradient.wgsl"), output.rows()).link(fragment!("common/step.wgsl"))
    }

    fn cases() -> Vec<Case> {
        [1, 64, 129].map(|batch| Case::new(BatchMeanGradient { batch }, 1, &[([1, 1], Fill::Normal)])).to_vec()
    }
}
