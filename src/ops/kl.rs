//! The divergence of a diagonal Gaussian from the prior N(0, I), in closed form (Kingma and Welling 2014, appendix B).

use super::*;

/// `kl[r] = 1/2 sum_e (exp(logvar) + mean^2 - 1 - logvar)` in nats: input `[mean | logvar]`, value `[batch, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kl;

impl Operation for Kl {
    const NAME: &'static str = "kl";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [posterior] = arity(Self::NAME, inputs)?;
        latent_of(Self::NAME, posterior)?;
        Ok(Shape::new(posterior.rows(), 1))
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let posterior = inputs[0];
        let latent = posterior.shape.cols() / 2;
        parallel_row_sums(outputs[0], posterior.shape, #[inline(always)] |row| {
            let (mean, logvar) = posterior.row(row).split_at(latent);
            let sum = lane_sum_pairs(mean, logvar, #[inline(always)] |mean, logvar| {
                logvar.e_to() + mean * mean - T::one() - logvar
            });
            T::from_f64(0.5) * sum
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let inputs = [back.inputs[0], back.d_output];
        Ok(vec![Some(back.apply(KlGradient, &inputs)?)])
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let latent = inputs[0].cols() / 2;
        let kernel = Kernel::reduction(fragment!("loss/kl.wgsl"), output.rows()).of_length(latent).storing(1);
        link_posterior(kernel, 0, latent)
    }

    fn cases() -> Vec<Case> {
        [[1, 2], [63, 130], [128, 40], [65, 126]].map(|size| Case::new(Kl, size[1], &[(size, Fill::Normal)])).to_vec()
    }
}

/// `d_mean = mean * d_kl`, `d_logvar = (exp(logvar) - 1) / 2 * d_kl`: inputs the posterior and d_kl `[batch, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KlGradient;

impl Operation for KlGradient {
    const NAME: &'static str = "kl_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [posterior, d_kl] = arity(Self::NAME, inputs)?;
        latent_of(Self::NAME, posterior)?;
        same(Self::NAME, ["d_kl", "kl"], d_kl, Shape::new(posterior.rows(), 1))?;
        Ok(posterior)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (posterior, d_kl) = (inputs[0], inputs[1]);
        let latent = posterior.shape.cols() / 2;
        parallel_rows(outputs[0], 2 * latent, #[inline(always)] |row, d_posterior| {
            gradient_of_row(posterior.row(row), d_kl.values[row], d_posterior, #[inline(always)] |d, x| *d = x);
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let latent = output.cols() / 2;
        link_posterior(Kernel::elementwise(fragment!("loss/kl_gradient.wgsl"), output.rows() * latent), 0, latent)
    }

    fn cases() -> Vec<Case> {
        [[1, 2], [63, 130], [128, 40]]
            .map(|size| Case::new(KlGradient, 2, &[(size, Fill::Normal), ([size[0], 1], Fill::Normal)]))
            .to_vec()
    }
}

/// Gives `put` each element of `d_posterior` with its gradient, where `d_kl` is that of the row's KL.
#[inline(always)]
pub(super) fn gradient_of_row<T: Real>(posterior: &[T], d_kl: T, d_posterior: &mut [T], put: impl Fn(&mut T, T)) {
    let latent = posterior.len() / 2;
    let (mean, logvar) = posterior.split_at(latent);
    let (d_mean, d_logvar) = d_posterior.split_at_mut(latent);
    for (d, &mean) in d_mean.iter_mut().zip(mean) {
        put(d, mean * d_kl);
    }
    for (d, &logvar) in d_logvar.iter_mut().zip(logvar) {
        put(d, T::from_f64(0.5) * (logvar.e_to() - T::one()) * d_kl);
    }
}

/// Links what reads the posterior `[rows, mean | logvar]` that is input `number`, counted from 0.
pub(super) fn link_posterior(kernel: Kernel, number: usize, latent: usize) -> Kernel {
    kernel.link(fragment!("loss/posterior.wgsl")).binding("POSTERIOR", number + 1).constant("LATENT", latent)
}
