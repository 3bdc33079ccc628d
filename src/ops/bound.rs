//! The end of a fused training step: means over the batch of losses that products left in parts.

use super::*;
use crate::compute::scratch;

/// `y = sum_{r < rows, c} parts[r, c] / rows`, rows being the step's: input the parts of a [`Epilogue::Likelihood`], value
/// `[1, 1]`. What [`BatchMean`] is to whole losses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartsMean;

impl Operation for PartsMean {
    const NAME: &'static str = "parts_mean";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [_parts] = arity(Self::NAME, inputs)?;
        Ok(Shape::SCALAR)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        outputs[0][0] = mean_of_parts(step, inputs[0]);
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "fusion comes after differentiation")
    }

    fn kernel(&self, inputs: &[Shape], _: Shape, _: &Profile) -> Kernel {
        one_workgroup(fragment!("reduce/parts_mean.wgsl")).constant("ROWS", inputs[0].rows).constant("COLS", inputs[0].cols)
    }

    fn cases() -> Vec<Case> {
        [[1, 1], [3, 65], [128, 196]]
            .map(|size| Case::new(PartsMean, size[0] * size[1], &[(size, Fill::Normal)]))
            .to_vec()
    }
}

/// Records `recon + weight kl`, `recon` and `kl` of a step: inputs the parts of a [`Epilogue::Likelihood`] and the posterior
/// `[batch, mean | logvar]`; recon is their [`PartsMean`], kl the [`BatchMean`] of the posterior's [`Kl`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecordBound {
    /// The weight of the KL term.
    pub weight: Factor,
}

impl Operation for RecordBound {
    const NAME: &'static str = "record_bound";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [parts, posterior] = arity(Self::NAME, inputs)?;
        latent_of(Self::NAME, posterior)?;
        let column = |shape: Shape| Shape::new(shape.rows, 1);
        same(Self::NAME, ["parts' column", "posterior's"], column(parts), column(posterior))?;
        Ok(Shape::SCALAR)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (parts, posterior) = (inputs[0], inputs[1]);
        let recon = mean_of_parts(step, parts);
        let kl = scratch(posterior.shape.rows, |kls| {
            Kl.reference(step, &[posterior], &mut [kls]);
            let kls = View { shape: Shape::new(posterior.shape.rows, 1), values: kls, bytes: &[] };
            let mut kl = [T::zero()];
            BatchMean.reference(step, &[kls], &mut [&mut kl]);
            kl[0]
        });
        let row = &mut outputs[0][step.slot as usize * METRICS..][..METRICS];
        row.copy_from_slice(&[recon + self.weight.value::<T>(step) * kl, recon, kl]);
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "it records")
    }

    fn kernel(&self, inputs: &[Shape], _: Shape, _: &Profile) -> Kernel {
        let kernel = one_workgroup(fragment!("loss/record_bound.wgsl"))
            .constant("ROWS", inputs[0].rows)
            .constant("COLS", inputs[0].cols)
            .constant("LATENT", inputs[1].cols / 2)
            .constant("METRICS", METRICS);
        self.weight.link(kernel)
    }

    fn cases() -> Vec<Case> {
        // It writes the ring, not a value: tests/fusion.rs reads it through a session.
        Vec::new()
    }

    fn effect(&self) -> Effect {
        Effect::Record
    }
}

/// The mean over the rows that count of the sums of each row's parts.
fn mean_of_parts<T: Real>(step: &Step, parts: View<'_, T>) -> T {
    let rows = parts.shape.rows.min(step.rows as usize);
    let values = &parts.values[..rows * parts.shape.cols];
    lane_sum(values.len(), #[inline(always)] |i| values[i]) / T::from_f64(f64::from(step.rows))
}

/// A kernel of one wide workgroup, which sums much by itself.
fn one_workgroup(main: Fragment) -> Kernel {
    let mut kernel = Kernel::reduction(main, 1).link(fragment!("common/step.wgsl"));
    kernel.constants = vec![("WORKGROUP", 256.0)];
    kernel
}
