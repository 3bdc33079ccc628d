//! The end of a fused training step: means over the batch of losses that products left in parts.

use super::*;
use crate::compute::scratch;

/// `y = sum_{r < rows, c} parts[r, c] / rows`, rows being the step's: input the parts of a [`Epilogue::Likelihood`], value
/// `[1, 1]`. What [`BatchMean`] is to whole losses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartialMean;

impl Operation for PartialMean {
    const NAME: &'static str = "partial_mean";

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

    fn kernel(&self, inputs: &[Shape], _: Shape, _: &DeviceProfile) -> Kernel {
        let mut kernel = Kernel::reduction(fragment!("reduce/partial_mean.wgsl"), 1)
            .batch_means(inputs[0].rows(), inputs[0].cols(), 1);
        kernel.workgroup = 256; // it sums much by itself
        kernel
    }

    fn cases() -> Vec<Case> {
        [[1, 1], [3, 65], [128, 196]]
            .map(|size| Case::new(PartialMean, size[0] * size[1], &[(size, Fill::Normal)]))
            .to_vec()
    }
}

/// Each row's two terms of a bound: inputs the parts of a [`Epilogue::Likelihood`] and the posterior `[batch, mean | logvar]`,
/// value `[batch, 2]`: the sum of the row's parts, and its [`Kl`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ElboTerms;

impl Operation for ElboTerms {
    const NAME: &'static str = "elbo_terms";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [parts, posterior] = arity(Self::NAME, inputs)?;
        latent_of(Self::NAME, posterior)?;
        let column = |shape: Shape| Shape::new(shape.rows(), 1);
        same(Self::NAME, ["parts' column", "posterior's"], column(parts), column(posterior))?;
        Ok(Shape::new(parts.rows(), 2))
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (parts, posterior) = (inputs[0], inputs[1]);
        scratch(posterior.shape.rows(), |kls| {
            Kl.reference(step, &[posterior], &mut [kls]);
            parallel_rows(outputs[0], 2, #[inline(always)] |row, terms| {
                let parts = parts.row(row);
                terms[0] = lane_sum(parts.len(), #[inline(always)] |i| parts[i]);
                terms[1] = kls[row];
            });
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "fusion comes after differentiation")
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let fragments = vec![fragment!("loss/elbo_terms.wgsl"), fragment!("common/tree.wgsl")];
        let kernel = Kernel::new(fragments, Entry::Run, REDUCTION, Grid::Rows(output.rows()))
            .constant("ROWS", output.rows())
            .constant("COLS", inputs[0].cols());
        kl::link_posterior(kernel, 1, inputs[1].cols() / 2)
    }

    fn may_share(&self) -> bool {
        true
    }

    fn cases() -> Vec<Case> {
        [[1, 1, 1], [63, 65, 20], [128, 196, 65]]
            .map(|[rows, cols, latent]| {
                let inputs = [([rows, cols], Fill::Normal), ([rows, 2 * latent], Fill::Normal)];
                Case::new(ElboTerms, cols.max(latent), &inputs)
            })
            .to_vec()
    }
}

/// Records `recon + weight kl`, `recon` and `kl` of a step: the input is the [`ElboTerms`] `[batch, 2]` whose means over the rows
/// that count these are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecordElbo {
    /// The weight of the KL term.
    pub weight: Factor,
    /// The column of the sum; the others follow.
    pub first: usize,
}

impl Operation for RecordElbo {
    const NAME: &'static str = "record_elbo";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [terms] = arity(Self::NAME, inputs)?;
        same(Self::NAME, ["terms", "two columns"], terms, Shape::new(terms.rows(), 2))?;
        Ok(Shape::SCALAR)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let terms = inputs[0].values;
        let rows = inputs[0].shape.rows().min(step.rows as usize);
        let [recon, kl] = [0, 1].map(|column| {
            let sum = lane_sum(rows, #[inline(always)] |row| terms[2 * row + column]);
            sum / T::from_f64(f64::from(step.rows))
        });
        let row = &mut record::ring_row(step, outputs[0])[self.first..];
        row[..3].copy_from_slice(&[recon + self.weight.value::<T>(step) * kl, recon, kl]);
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "it records")
    }

    fn kernel(&self, inputs: &[Shape], ring: Shape, _: &DeviceProfile) -> Kernel {
        let fragments = vec![fragment!("loss/record_elbo.wgsl"), fragment!("common/tree.wgsl")];
        let kernel = Kernel::new(fragments, Entry::Run, REDUCTION, Grid::Rows(1))
            .link(fragment!("common/step.wgsl"))
            .constant("BATCH", inputs[0].rows())
            .constant("FIRST", self.first)
            .constant("COLS", ring.cols());
        self.weight.link(kernel)
    }

    fn may_share(&self) -> bool {
        true
    }

    fn cases() -> Vec<Case> {
        // It writes the ring, not a value: tests/fusion.rs reads it through a session.
        Vec::new()
    }

    fn scalars(&self) -> Vec<&'static str> {
        self.weight.scalars()
    }

    fn effect(&self) -> Effect {
        Effect::Record
    }
}

/// The mean over the rows that count of the sums of each row's parts.
fn mean_of_parts<T: Real>(step: &Step, parts: View<'_, T>) -> T {
    let rows = parts.shape.rows().min(step.rows as usize);
    let values = &parts.values[..rows * parts.shape.cols()];
    lane_sum(values.len(), #[inline(always)] |i| values[i]) / T::from_f64(f64::from(step.rows))
}
