//! State that follows a value of each step.

use super::*;

/// `state' = (1 - momentum) state + momentum value`: inputs the state and the value, of one shape. It updates the state in place
/// ([`Effect::Update`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MovingAverage {
    /// The weight of the new value.
    pub momentum: f64,
}

impl Operation for MovingAverage {
    const NAME: &'static str = "moving_average";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [state, value] = arity(Self::NAME, inputs)?;
        same(Self::NAME, ["state", "value"], state, value)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (momentum, kept) = (T::from_f64(self.momentum), T::from_f64(1.0 - self.momentum));
        let values = outputs[0].iter_mut().zip(inputs[0].values);
        values.for_each(|(state, &value)| *state = kept * *state + momentum * value);
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "it updates in place")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let mut kernel = Kernel::elementwise(fragment!("elementwise/moving_average.wgsl"), output.len());
        kernel.constants.extend([("MOMENTUM", self.momentum), ("KEPT", 1.0 - self.momentum)]);
        kernel
    }

    fn cases() -> Vec<Case> {
        let case = |momentum, size| Case::new(MovingAverage { momentum }, 2, &[(size, Fill::Normal), (size, Fill::Normal)]);
        vec![case(0.1, [1, 1]), case(0.25, [3, 67])]
    }

    fn effect(&self) -> Effect {
        Effect::Update(1)
    }
}
