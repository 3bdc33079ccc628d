//! Scalars of a step, kept on the device until the host asks for many steps' at once.

use super::*;
use crate::step::MAX_STEPS;

/// Scalars that one op records at most.
pub(crate) const RECORDED: usize = 3;

/// `metrics[slot, first + i] = scalar i`: one to three inputs `[1, 1]`, output the program's metrics ring `[MAX_STEPS, metrics]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    /// The column of the first scalar.
    pub first: usize,
}

impl Operation for Record {
    const NAME: &'static str = "record";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        if inputs.is_empty() || inputs.len() > RECORDED {
            return graph_error(format!("record: {} values: it takes 1 to {RECORDED}", inputs.len()));
        }
        for &shape in inputs {
            same(Self::NAME, ["input", "a recorded value"], shape, Shape::SCALAR)?;
        }
        Ok(Shape::SCALAR)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let row = &mut ring_row(step, outputs[0])[self.first..];
        row.iter_mut().zip(inputs).for_each(|(metric, scalar)| *metric = scalar.values[0]);
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "it records")
    }

    fn kernel(&self, inputs: &[Shape], ring: Shape, _: &DeviceProfile) -> Kernel {
        let row = match inputs.len() {
            1 => fragment!("reduce/record_1.wgsl"),
            2 => fragment!("reduce/record_2.wgsl"),
            _ => fragment!("reduce/record_3.wgsl"),
        };
        let fragments = vec![fragment!("reduce/record.wgsl"), fragment!("common/step.wgsl"), row];
        let kernel = Kernel::new(fragments, Entry::Run, REDUCTION, Grid::Rows(1));
        kernel.constant("FIRST", self.first).constant("COLS", ring.cols())
    }

    fn cases() -> Vec<Case> {
        // It writes the ring, not a value: tests/kernels.rs reads it through a session.
        Vec::new()
    }

    fn effect(&self) -> Effect {
        Effect::Record
    }
}

/// The step's row of a metrics ring.
pub(super) fn ring_row<'a, T>(step: &Step, ring: &'a mut [T]) -> &'a mut [T] {
    let columns = ring.len() / MAX_STEPS;
    &mut ring[step.slot as usize * columns..][..columns]
}
