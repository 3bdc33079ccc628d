//! How an activation's slope changes: what a gradient that is differentiated again needs, as in the contractive penalty
//! of Rifai et al. 2011.

use super::*;

impl Activation {
    /// `d slope(kept) / d kept`, from what is [kept](Activation::keeps_argument); zero for the piecewise linear ones.
    #[inline(always)]
    pub fn curvature<T: Real>(self, kept: T) -> T {
        let (x, y) = (kept, kept);
        match self {
            Activation::Identity | Activation::Relu | Activation::LeakyRelu => T::zero(),
            Activation::Tanh => -(y + y),
            Activation::Sigmoid => T::one() - (y + y),
            Activation::Softplus => (-y).e_to(),
            Activation::Silu => {
                let s = bias_activation::sigmoid(x);
                let rest = T::one() - s;
                s * rest * (T::from_f64(2.0) + x * (rest - s))
            }
            Activation::Gelu => bias_activation::normal_density(x) * (T::from_f64(2.0) - x * x),
        }
    }
}

/// `d slope(kept) / d kept * d_y * g`, the gradient of [`ActivationGradient`] with respect to what is kept: inputs that, d_y,
/// and g, the gradient with respect to that op's value; all of one shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActivationCurvature {
    /// The activation.
    pub activation: Activation,
}

impl Operation for ActivationCurvature {
    const NAME: &'static str = "activation_curvature";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [kept, d_y, g] = arity(Self::NAME, inputs)?;
        same(Self::NAME, ["what is kept", "g"], kept, g)?;
        same(Self::NAME, ["what is kept", "d_y"], kept, d_y)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (kept, d_y, g) = (inputs[0], inputs[1], inputs[2]);
        parallel_rows(outputs[0], kept.shape.cols(), #[inline(always)] |row, out| {
            let terms = kept.row(row).iter().zip(d_y.row(row)).zip(g.row(row));
            for (d, ((&kept, &d_y), &g)) in out.iter_mut().zip(terms) {
                *d = self.activation.curvature(kept) * d_y * g;
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "the third derivative of an activation is not implemented")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::elementwise(fragment!("elementwise/activation_curvature.wgsl"), output.len())
            .link(self.activation.fragment())
            .link(fragment!("common/math.wgsl"))
    }

    fn cases() -> Vec<Case> {
        let mut cases = Vec::new();
        for activation in Activation::ALL {
            for size in [[1, 1], [63, 65], [127, 129]] {
                let inputs = [(size, activation.kept_fill()), (size, Fill::Normal), (size, Fill::Normal)];
                cases.push(Case::new(ActivationCurvature { activation }, 4, &inputs));
            }
        }
        cases
    }
}
