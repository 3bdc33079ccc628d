//! An activation by itself, of any value.

use super::*;

/// `y = activation(x)`: x of any shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Activate {
    /// The activation.
    pub activation: Activation,
}

impl Operation for Activate {
    const NAME: &'static str = "activate";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(Self::NAME, inputs)?;
        Ok(x)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        /// Elements taken together.
        const PART: usize = 1024;
        let x = inputs[0].values;
        parallel_rows(outputs[0], PART, #[inline(always)] |part, y| {
            self.activation.values(&x[part * PART..], y);
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let activation = self.activation;
        let d_x = match activation {
            Activation::Identity => back.d_output,
            _ => {
                let kept = if activation.keeps_argument() { back.inputs[0] } else { back.output };
                back.apply(ActivationGradient { activation }, &[kept, back.d_output])?
            }
        };
        Ok(vec![Some(d_x)])
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::of_values(fragment!("elementwise/activate.wgsl"), output.len(), 1)
            .loading_x()
            .link(self.activation.fragment())
            .link(fragment!("common/math.wgsl"))
    }

    fn is_activation(&self) -> bool {
        true
    }

    fn loads_half(&self, input: usize) -> bool {
        input == 0
    }

    fn cases() -> Vec<Case> {
        let mut cases = Vec::new();
        for activation in Activation::ALL {
            for (shape, fill) in [
                (Shape::new(1, 1), Fill::Normal),
                (Shape::new(63, 65), Fill::Wide),
                (Shape::of([2, 5, 7, 31]), Fill::Normal),
                (Shape::of([129]), Fill::Normal),
                (Shape::of([3, 5, 1, 12]), Fill::Normal),
            ] {
                cases.push(Case::new(Activate { activation }, 4, &[(shape, fill)]));
            }
        }
        cases
    }
}
