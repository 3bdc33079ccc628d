//! The reparameterisation of Kingma and Welling 2014 (section 2.4): a draw from the posterior through which gradients flow.
//!
//! The noise is never stored: forward and backward draw the same normals again from (seed, stream, step, example, element).

use super::*;
use crate::rng::{Draw, PIECE, Stream};

/// `z = mean + exp(logvar / 2) * eps`: input `[mean | logvar]` of `[batch, 2 latent]`, value `[batch, latent]`.
///
/// Rows come in groups of `samples` of one example; row `r` takes the normals of example `first samples + r`, modulo 2^32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reparameterise {
    /// Where eps is drawn from.
    pub stream: Stream,
    /// Consecutive rows that are samples of one example.
    pub samples: usize,
}

impl Reparameterise {
    /// Links what kernels that draw this noise need, and sets its numbers.
    pub(super) fn link_noise(&self, kernel: Kernel) -> Kernel {
        link(kernel, self.stream).link(fragment!("rng/latent_noise.wgsl")).constant("SAMPLES", self.samples)
    }
}

impl Operation for Reparameterise {
    const NAME: &'static str = "reparameterise";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [posterior] = arity(Self::NAME, inputs)?;
        repeat_interleave::groups_of(Self::NAME, posterior, self.samples)?;
        Ok(Shape::new(posterior.rows(), latent_of(Self::NAME, posterior)?))
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let posterior = inputs[0];
        let latent = posterior.shape.cols() / 2;
        parallel_heavy_rows(outputs[0], latent, #[inline(always)] |row, z| {
            let (mean, logvar) = posterior.row(row).split_at(latent);
            for (from, eps) in noise(self.stream, step, self.samples, row, latent) {
                let terms = z[from..].iter_mut().zip(&mean[from..]).zip(&logvar[from..]);
                for (((z, &mean), &logvar), eps) in terms.zip(eps) {
                    *z = mean + (T::from_f64(0.5) * logvar).e_to() * T::from_f64(f64::from(eps));
                }
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let inputs = [back.inputs[0], back.d_output];
        Ok(vec![Some(back.apply(ReparameteriseGradient { stream: self.stream, samples: self.samples }, &inputs)?)])
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let kernel = Kernel::elementwise(fragment!("rng/reparameterise.wgsl"), output.len());
        kl::link_posterior(self.link_noise(kernel), 0, output.cols())
    }

    fn cases() -> Vec<Case> {
        [([1, 2], 1), ([63, 130], 1), ([128, 40], 64), ([5, 6], 5), ([21, 6], 3), ([128, 40], 1)]
            .map(|(size, samples)| {
                Case::new(Reparameterise { stream: Stream::Posterior, samples }, 2, &[(size, Fill::Normal)])
            })
            .to_vec()
    }
}

/// `d_mean = d_z`, `d_logvar = d_z * eps * exp(logvar / 2) / 2`: inputs the posterior and d_z, value of the posterior's shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReparameteriseGradient {
    /// Where eps is drawn from; the forward op's.
    pub stream: Stream,
    /// Consecutive rows that are samples of one example; the forward op's.
    pub samples: usize,
}

impl Operation for ReparameteriseGradient {
    const NAME: &'static str = "reparameterise_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [posterior, d_z] = arity(Self::NAME, inputs)?;
        repeat_interleave::groups_of(Self::NAME, posterior, self.samples)?;
        let z = Shape::new(posterior.rows(), latent_of(Self::NAME, posterior)?);
        same(Self::NAME, ["d_z", "z"], d_z, z)?;
        Ok(posterior)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (posterior, d_z) = (inputs[0], inputs[1]);
        parallel_heavy_rows(outputs[0], posterior.shape.cols(), #[inline(always)] |row, d_posterior| {
            self.row(step, row, posterior.row(row), d_z.row(row), d_posterior);
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let latent = output.cols() / 2;
        let kernel = Kernel::elementwise(fragment!("rng/reparameterise_gradient.wgsl"), output.rows() * latent);
        let kernel = Reparameterise { stream: self.stream, samples: self.samples }.link_noise(kernel);
        kl::link_posterior(kernel, 0, latent)
    }

    fn cases() -> Vec<Case> {
        [([1, 1], 1), ([63, 65], 3), ([128, 20], 1)]
            .map(|([rows, latent], samples)| {
                let op = ReparameteriseGradient { stream: Stream::Posterior, samples };
                Case::new(op, 2, &[([rows, 2 * latent], Fill::Normal), ([rows, latent], Fill::Normal)])
            })
            .to_vec()
    }
}

impl ReparameteriseGradient {
    /// A row of the value.
    #[inline(always)]
    pub(super) fn row<T: Real>(&self, step: &Step, row: usize, posterior: &[T], d_z: &[T], d_posterior: &mut [T]) {
        let latent = d_z.len();
        let logvar = &posterior[latent..];
        let (d_mean, d_logvar) = d_posterior.split_at_mut(latent);
        d_mean.copy_from_slice(d_z);
        let half = T::from_f64(0.5);
        for (from, eps) in noise(self.stream, step, self.samples, row, latent) {
            let terms = d_logvar[from..].iter_mut().zip(&d_mean[from..]).zip(&logvar[from..]);
            for (((d, &d_mean), &logvar), eps) in terms.zip(eps) {
                *d = d_mean * half * (half * logvar).e_to() * T::from_f64(f64::from(eps));
            }
        }
    }
}

/// The normals of row `row`, where each example has `samples` rows; see [`Draw::normal_pieces`].
#[inline(always)]
pub(super) fn noise(
    stream: Stream,
    step: &Step,
    samples: usize,
    row: usize,
    latent: usize,
) -> impl Iterator<Item = (usize, [f32; PIECE])> {
    let example = step.first.wrapping_mul(samples as u32).wrapping_add(row as u32);
    Draw { seed: step.seed, stream, step: step.index }.normal_pieces(example, latent)
}

/// Links the draws of a stream.
pub(super) fn link(kernel: Kernel, stream: Stream) -> Kernel {
    kernel
        .link(fragment!("common/step.wgsl"))
        .link(fragment!("common/rng.wgsl"))
        .constant("STREAM", stream.id() as usize)
}
