//! A weight that the device moves until a value meets its target: the KL term's in GECO (Rezende and Viola 2018, "Taming VAEs",
//! algorithm 1). Its logarithm is state, moved each step; the paper's multiplier of the reconstruction is the reciprocal of this one.

use super::*;

/// The size of the logarithm at most: weights of 1e-6 to 1e6.
const LIMIT: f64 = 13.8;

/// `y = exp(log_weight) x`: inputs x of any shape and log_weight `[1, 1]`, which is not differentiated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weigh;

impl Operation for Weigh {
    const NAME: &'static str = "weigh";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x, log_weight] = arity(Self::NAME, inputs)?;
        same(Self::NAME, ["log_weight", "a scalar"], log_weight, Shape::SCALAR)?;
        Ok(x)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let weight = inputs[1].values[0].e_to();
        outputs[0].iter_mut().zip(inputs[0].values).for_each(|(y, &x)| *y = weight * x);
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        if back.wanted[1] {
            return back.none(Self::NAME, "its weight is state, and not trained");
        }
        let inputs = [back.d_output, back.inputs[1]];
        Ok(vec![Some(back.apply(Weigh, &inputs)?), None])
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::elementwise(fragment!("elementwise/weigh.wgsl"), output.len())
    }

    fn cases() -> Vec<Case> {
        [[1, 1], [3, 67]]
            .map(|size| Case::new(Weigh, 4, &[(size, Fill::Normal), ([1, 1], Fill::Normal)]))
            .to_vec()
    }
}

/// `log_weight' = log_weight + rate (target - value)`, kept within 13.8 of 0, where a weight is 1e6: inputs log_weight and value,
/// `[1, 1]` each. It updates log_weight in place ([`Effect::Update`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MoveWeight {
    /// What the value is to be.
    pub target: f64,
    /// The move of a step for each unit that it is off.
    pub rate: f64,
}

impl Operation for MoveWeight {
    const NAME: &'static str = "move_weight";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [log_weight, value] = arity(Self::NAME, inputs)?;
        same(Self::NAME, ["value", "a scalar"], value, Shape::SCALAR)?;
        same(Self::NAME, ["log_weight", "a scalar"], log_weight, Shape::SCALAR)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let [target, rate, limit] = [self.target, self.rate, LIMIT].map(T::from_f64);
        let moved = outputs[0][0] + rate * (target - inputs[0].values[0]);
        // What is no number stays one, so that the step's loss tells of it.
        outputs[0][0] = if moved > limit { limit } else if moved < -limit { -limit } else { moved };
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "it updates in place")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let mut kernel = Kernel::elementwise(fragment!("elementwise/move_weight.wgsl"), output.len());
        kernel.constants.extend([("TARGET", self.target), ("RATE", self.rate), ("LIMIT", LIMIT)]);
        kernel
    }

    fn cases() -> Vec<Case> {
        let inputs = [([1, 1], Fill::Normal), ([1, 1], Fill::Normal)];
        [(0.5, 0.1), (-100.0, 0.5), (100.0, 0.5)]
            .map(|(target, rate)| Case::new(MoveWeight { target, rate }, 4, &inputs))
            .to_vec()
    }

    fn effect(&self) -> Effect {
        Effect::Update(1)
    }
}
