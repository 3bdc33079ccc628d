//! Scalars of a step, kept on the device until the host asks for many steps' at once.

use super::*;

/// Scalars a row of the metrics ring holds: of a VAE loss, reconstruction and divergence.
pub const METRICS: usize = 3;

/// `metrics[slot, first + i] = scalar i`: one to three inputs `[1, 1]`.
///
/// Two programs of a step fill one row together where their columns differ; a column that nobody writes holds 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    /// The column of the first scalar.
    pub first: usize,
}

impl Operation for Record {
    const NAME: &'static str = "record";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        if inputs.is_empty() || inputs.len() > METRICS.saturating_sub(self.first) {
            return graph_error(format!(
                "record: {} values from column {} on: it takes 1 or more, and a row has {METRICS} columns",
                inputs.len(),
                self.first
            ));
        }
        for &shape in inputs {
            same(Self::NAME, ["input", "a recorded value"], shape, Shape::SCALAR)?;
        }
        Ok(Shape::SCALAR)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let row = &mut outputs[0][step.slot as usize * METRICS + self.first..];
        row.iter_mut().zip(inputs).for_each(|(metric, scalar)| *metric = scalar.values[0]);
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "it records")
    }

    fn kernel(&self, inputs: &[Shape], _: Shape, _: &DeviceProfile) -> Kernel {
        let row = match inputs.len() {
            1 => fragment!("reduce/record_1.wgsl"),
            2 => fragment!("reduce/record_2.wgsl"),
            _ => fragment!("reduce/record_3.wgsl"),
        };
        let fragments = vec![fragment!("reduce/record.wgsl"), fragment!("common/step.wgsl"), row];
        Kernel::new(fragments, Entry::Run, REDUCTION, Grid::Rows(1)).constant("FIRST", self.first).constant("COLS", METRICS)
    }

    fn cases() -> Vec<Case> {
        // It writes the ring, not a value: tests/kernels.rs reads it through a session.
        Vec::new()
    }

    fn effect(&self) -> Effect {
        Effect::Record
    }
}
