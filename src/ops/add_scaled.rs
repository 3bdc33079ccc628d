//! `a + factor * b` and `factor * x`: how loss terms and gradients are added up.

use super::*;

/// A number that scales a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Factor {
    /// Known when the plan is made.
    Constant(f64),
    /// A scalar of the step.
    Scalar(&'static str),
}

impl Factor {
    pub(super) fn value<T: Real>(self, step: &Step) -> T {
        T::from_f64(match self {
            Factor::Constant(value) => value,
            Factor::Scalar(name) => step.scalar(name),
        })
    }

    /// The scalar of the step that it is.
    pub(super) fn scalars(self) -> Vec<&'static str> {
        match self {
            Factor::Constant(_) => Vec::new(),
            Factor::Scalar(name) => vec![name],
        }
    }

    pub(super) fn link(self, mut kernel: Kernel) -> Kernel {
        match self {
            Factor::Constant(value) => {
                kernel.constants.push(("FACTOR", value));
                kernel.link(fragment!("loss/factor_constant.wgsl"))
            }
            Factor::Scalar(name) => kernel
                .link(fragment!("loss/factor_scalar.wgsl"))
                .link(fragment!("common/step.wgsl"))
                .scalar("FACTOR", name),
        }
    }
}

/// `y = a + factor * b`; a and b of one shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AddScaled {
    /// What b is multiplied by.
    pub factor: Factor,
}

impl Operation for AddScaled {
    const NAME: &'static str = "add_scaled";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [a, b] = arity(Self::NAME, inputs)?;
        same(Self::NAME, ["a", "b"], a, b)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (a, b, factor) = (inputs[0], inputs[1], self.factor.value::<T>(step));
        parallel_rows(outputs[0], a.shape.cols(), #[inline(always)] |row, out| {
            let terms = a.row(row).iter().zip(b.row(row));
            for (y, (&a, &b)) in out.iter_mut().zip(terms) {
                *y = a + factor * b;
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let d_b = if back.wanted[1] { Some(back.apply(Scale { factor: self.factor }, &[back.d_output])?) } else { None };
        Ok(vec![Some(back.d_output), d_b])
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        self.factor.link(Kernel::elementwise(fragment!("elementwise/add_scaled.wgsl"), output.len()))
    }

    fn scalars(&self) -> Vec<&'static str> {
        self.factor.scalars()
    }

    fn cases() -> Vec<Case> {
        let sizes = [([1, 1], Factor::Scalar("beta")), ([63, 65], Factor::Constant(1.0)), ([128, 41], Factor::Constant(-0.7))];
        sizes
            .map(|(size, factor)| Case::new(AddScaled { factor }, 2, &[(size, Fill::Normal), (size, Fill::Normal)]))
            .to_vec()
    }
}

/// `y = factor * x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// What x is multiplied by.
    pub factor: Factor,
}

impl Operation for Scale {
    const NAME: &'static str = "scale";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(Self::NAME, inputs)?;
        Ok(x)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (x, factor) = (inputs[0], self.factor.value::<T>(step));
        parallel_rows(outputs[0], x.shape.cols(), #[inline(always)] |row, out| {
            for (y, &x) in out.iter_mut().zip(x.row(row)) {
                *y = factor * x;
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(back.apply(*self, &[back.d_output])?)])
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        self.factor.link(Kernel::elementwise(fragment!("elementwise/scale.wgsl"), output.len()))
    }

    fn scalars(&self) -> Vec<&'static str> {
        self.factor.scalars()
    }

    fn cases() -> Vec<Case> {
        [([1, 1], Factor::Scalar("beta")), ([63, 65], Factor::Constant(0.3))]
            .map(|(size, factor)| Case::new(Scale { factor }, 1, &[(size, Fill::Normal)]))
            .to_vec()
    }
}
