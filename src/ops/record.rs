//! Scalars of a step, kept on the device until the host asks for many steps' at once.

use super::*;

/// Scalars a row of the metrics ring holds: loss, reconstruction, divergence.
pub const METRICS: usize = 3;

/// `metrics[slot, i] = scalar i`: three inputs `[1, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record;

impl Operation for Record {
    const NAME: &'static str = "record";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        for shape in arity::<METRICS>(Self::NAME, inputs)? {
            same(Self::NAME, ["input", "a recorded value"], shape, Shape::SCALAR)?;
        }
        Ok(Shape::SCALAR)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let row = &mut outputs[0][step.slot as usize * METRICS..][..METRICS];
        row.iter_mut().zip(inputs).for_each(|(metric, scalar)| *metric = scalar.values[0]);
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "it records")
    }

    fn kernel(&self, _: &[Shape], _: Shape, _: &Profile) -> Kernel {
        Kernel {
            fragments: vec![fragment!("record.wgsl"), fragment!("step.wgsl")],
            constants: Vec::new(),
            groups: 1,
        }
    }

    fn cases() -> Vec<Case> {
        // It writes the ring, not a value: tests/kernels.rs reads it through a session.
        Vec::new()
    }

    fn effect(&self) -> Effect {
        Effect::Record
    }
}
