//! A matrix of one number.

use super::*;

/// `y[r, c] = value`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constant {
    /// The number.
    pub value: f64,
    /// The matrix's shape.
    pub shape: Shape,
}

impl Constant {
    /// A matrix of `shape`, `value` everywhere.
    pub fn new(value: f64, shape: Shape) -> Constant {
        Constant { value, shape }
    }
}

impl Operation for Constant {
    const NAME: &'static str = "constant";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [] = arity(Self::NAME, inputs)?;
        Ok(self.shape)
    }

    fn reference<T: Real>(&self, _: &Step, _: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        outputs[0].fill(T::from_f64(self.value));
    }

    fn gradient(&self, _: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(Vec::new())
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let mut kernel = Kernel::elementwise(fragment!("elementwise/constant.wgsl"), output.len());
        kernel.constants.push(("VALUE", self.value));
        kernel
    }

    fn cases() -> Vec<Case> {
        [[1, 1], [3, 131], [1, 65], [129, 1], [65, 63]].map(|[r, c]| Case::new::<Shape>(Constant::new(-0.375, Shape::new(r, c)), 1, &[])).to_vec()
    }
}
