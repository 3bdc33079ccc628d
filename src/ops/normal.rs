//! Draws from the prior, N(0, I).

use super::*;
use crate::rng::Stream;

/// `z[r, e]` = the normal of example `first + r`, element `e`, of a stream; no input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normal {
    /// Where the draws come from.
    pub stream: Stream,
    /// `[examples, latent]`.
    pub shape: Shape,
}

impl Operation for Normal {
    const NAME: &'static str = "normal";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [] = arity(Self::NAME, inputs)?;
        Ok(self.shape)
    }

    fn reference<T: Real>(&self, step: &Step, _: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let latent = self.shape.cols();
        parallel_rows(outputs[0], latent, #[inline(always)] |row, z| {
            for (from, eps) in reparameterise::noise(self.stream, step, 1, row, latent) {
                for (z, eps) in z[from..].iter_mut().zip(eps) {
                    *z = T::from_f64(f64::from(eps));
                }
            }
        });
    }

    fn gradient(&self, _: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(Vec::new())
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let kernel = Kernel::elementwise(fragment!("rng/normal.wgsl"), output.len());
        reparameterise::link(kernel, self.stream).constant("LATENT", output.cols())
    }

    fn cases() -> Vec<Case> {
        [[1, 1], [100, 20], [63, 65]]
            .map(|[r, c]| Case::new::<Shape>(Normal { stream: Stream::Prior, shape: Shape::new(r, c) }, 1, &[]))
            .to_vec()
    }
}
