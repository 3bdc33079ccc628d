//! Where a value is above zero: what a classifier's logit decides.

use super::*;

/// `y = 1` where `x > 0`, else 0; both of one shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heaviside;

impl Operation for Heaviside {
    const NAME: &'static str = "heaviside";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(Self::NAME, inputs)?;
        Ok(x)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let x = inputs[0];
        parallel_rows(outputs[0], x.shape.cols(), #[inline(always)] |row, y| {
            for (y, &x) in y.iter_mut().zip(x.row(row)) {
                *y = if x > T::zero() { T::one() } else { T::zero() };
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "it is a step, whose slope is zero wherever there is one")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::elementwise(fragment!("elementwise/heaviside.wgsl"), output.len())
    }

    fn cases() -> Vec<Case> {
        [[1, 1], [63, 65], [128, 1]].map(|size| Case::new(Heaviside, 1, &[(size, Fill::Normal)])).to_vec()
    }
}
