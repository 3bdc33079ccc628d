//! A sum over steps: gradients of the shards of a batch.

use super::*;

/// Scalar of the step: what the sum so far counts, 0 at a sum's first step, else 1.
pub const KEEP: &str = "accumulate.keep";

/// `sum' = keep sum + x`, with the scalar [`KEEP`]; where that is 0, whatever the sum held: inputs the sum and x, both `[1, n]` with n a
/// multiple of four. It updates the sum in place ([`Effect::UpdateElements`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accumulate;

impl Operation for Accumulate {
    const NAME: &'static str = "accumulate";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [sum, x] = arity(Self::NAME, inputs)?;
        if sum.rows() != 1 || !sum.cols().is_multiple_of(FOUR) {
            return graph_error(format!("accumulate: the sum is {sum}: it must be [1, n], n a multiple of 4"));
        }
        same(Self::NAME, ["sum", "x"], sum, x)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        const PART: usize = 1 << 13;
        let keeps = step.scalar(KEEP) != 0.0;
        parallel_for(outputs[0].chunks_mut(PART).zip(inputs[0].values.chunks(PART)), |(sum, x)| {
            match keeps {
                true => sum.iter_mut().zip(x).for_each(|(sum, &x)| *sum = *sum + x),
                false => sum.copy_from_slice(x),
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "it updates in place")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        // One vec4 an invocation: arenas are padded to whole ones.
        Kernel::elementwise(fragment!("optim/accumulate.wgsl"), output.len() / FOUR)
            .link(fragment!("common/step.wgsl"))
            .scalar("KEEP", KEEP)
    }

    fn cases() -> Vec<Case> {
        [4, 64, 1028].map(|n| Case::new(Accumulate, 1, &[([1, n], Fill::Normal), ([1, n], Fill::Normal)])).to_vec()
    }

    fn scalars(&self) -> Vec<&'static str> {
        vec![KEEP]
    }

    fn effect(&self) -> Effect {
        Effect::UpdateElements(1)
    }
}
