//! The reparameterisation of Kingma and Welling 2014 (section 2.4): a draw from the posterior through which gradients flow.
//!
//! The noise is never stored: forward and backward draw the same normals again from (seed, stream, step, example, element).

use super::*;
use crate::rng::{Draw, Stream};

/// `z = mean + exp(logvar / 2) * eps`: input `[mean | logvar]` of `[batch, 2 latent]`, value `[batch, latent]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reparameterise {
    /// Where eps is drawn from.
    pub stream: Stream,
}

impl Operation for Reparameterise {
    const NAME: &'static str = "reparameterise";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [posterior] = arity(Self::NAME, inputs)?;
        Ok(Shape::new(posterior.rows, latent_of(Self::NAME, posterior)?))
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let posterior = inputs[0];
        let latent = posterior.shape.cols / 2;
        fill_rows(outputs[0], latent, |row, z| {
            let eps = noise(self.stream, step, row, latent);
            let (mean, logvar) = posterior.row(row).split_at(latent);
            for (e, z) in z.iter_mut().enumerate() {
                *z = mean[e] + (T::from_f64(0.5) * logvar[e]).exp() * T::from_f64(f64::from(eps[e]));
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let inputs = [back.inputs[0], back.d_output];
        Ok(vec![Some(back.apply(ReparameteriseGradient { stream: self.stream }, &inputs)?)])
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &Profile) -> Kernel {
        link(Kernel::elementwise(fragment!("reparameterise.wgsl"), output.len()), self.stream, output.cols)
    }

    fn cases() -> Vec<Case> {
        let op = Reparameterise { stream: Stream::Posterior };
        [[1, 2], [63, 130], [128, 40], [5, 6]].map(|size| Case::new(op, 2, &[(size, Fill::Normal)])).to_vec()
    }
}

/// `d_mean = d_z`, `d_logvar = d_z * eps * exp(logvar / 2) / 2`: inputs the posterior and d_z, value of the posterior's shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReparameteriseGradient {
    /// Where eps is drawn from; the forward op's.
    pub stream: Stream,
}

impl Operation for ReparameteriseGradient {
    const NAME: &'static str = "reparameterise_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [posterior, d_z] = arity(Self::NAME, inputs)?;
        let z = Shape::new(posterior.rows, latent_of(Self::NAME, posterior)?);
        same(Self::NAME, ["d_z", "z"], d_z, z)?;
        Ok(posterior)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (posterior, d_z) = (inputs[0], inputs[1]);
        let latent = d_z.shape.cols;
        fill_rows(outputs[0], 2 * latent, |row, d_posterior| {
            let eps = noise(self.stream, step, row, latent);
            let logvar = &posterior.row(row)[latent..];
            let (d_mean, d_logvar) = d_posterior.split_at_mut(latent);
            d_mean.copy_from_slice(d_z.row(row));
            for e in 0..latent {
                let half = T::from_f64(0.5);
                d_logvar[e] = d_mean[e] * half * (half * logvar[e]).exp() * T::from_f64(f64::from(eps[e]));
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &Profile) -> Kernel {
        let latent = output.cols / 2;
        link(Kernel::elementwise(fragment!("reparameterise_gradient.wgsl"), output.rows * latent), self.stream, latent)
    }

    fn cases() -> Vec<Case> {
        let op = ReparameteriseGradient { stream: Stream::Posterior };
        [[1, 1], [63, 65], [128, 20]]
            .map(|[rows, latent]| Case::new(op, 2, &[([rows, 2 * latent], Fill::Normal), ([rows, latent], Fill::Normal)]))
            .to_vec()
    }
}

/// The normals of batch row `row`.
pub(super) fn noise(stream: Stream, step: &Step, row: usize, latent: usize) -> Vec<f32> {
    let mut eps = vec![0.0; latent];
    Draw { seed: step.seed, stream, step: step.index }.normals(step.first.wrapping_add(row as u32), &mut eps);
    eps
}

pub(super) fn link(kernel: Kernel, stream: Stream, latent: usize) -> Kernel {
    kernel
        .link(fragment!("step.wgsl"))
        .link(fragment!("rng.wgsl"))
        .constant("STREAM", stream.id() as usize)
        .constant("LATENT", latent)
}
