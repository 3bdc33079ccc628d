//! A posterior whose deviation is a softplus, as a log-variance: everything that reads `[mean | logvar]` serves it.

use super::*;

/// `[mean | raw]` to `[mean | logvar]` with `logvar = 2 ln(softplus(raw))`, so that the deviation is
/// `sigma = softplus(raw)`: input and value `[batch, 2 latent]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftplusPosterior;

/// Below this, in the reference, `softplus(raw)` is `exp(raw)` to the last bit of an f64.
const TAIL: f64 = -40.0;

impl Operation for SoftplusPosterior {
    const NAME: &'static str = "softplus_posterior";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [raw] = arity(Self::NAME, inputs)?;
        latent_of(Self::NAME, raw)?;
        Ok(raw)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let input = inputs[0];
        let latent = input.shape.cols() / 2;
        parallel_rows(outputs[0], 2 * latent, #[inline(always)] |row, posterior| {
            posterior.copy_from_slice(input.row(row));
            for value in &mut posterior[latent..] {
                let raw = *value;
                let log =
                    if raw < T::from_f64(TAIL) { raw } else { Activation::Softplus.value(raw).ln() };
                *value = log + log;
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let inputs = [back.inputs[0], back.d_output];
        Ok(vec![Some(back.apply(SoftplusPosteriorGradient, &inputs)?)])
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let latent = output.cols() / 2;
        Kernel::elementwise(fragment!("loss/softplus_posterior.wgsl"), output.rows() * latent)
            .link(fragment!("common/math.wgsl"))
            .constant("LATENT", latent)
    }

    fn cases() -> Vec<Case> {
        // WGSL allows its log an error of 2^-21 near 1, four times f32's own: terms for both.
        [([1, 2], Fill::Normal), ([63, 130], Fill::Normal), ([65, 126], Fill::Wide), ([128, 40], Fill::Wide)]
            .map(|(size, fill)| Case::new(SoftplusPosterior, 8, &[(size, fill)]))
            .to_vec()
    }
}

/// `d_mean` passes, `d_raw = d_logvar 2 sigmoid(raw) / softplus(raw)`: inputs `[mean | raw]` and the gradient with respect
/// to `[mean | logvar]`, value likewise, all `[batch, 2 latent]`. The factor tends to 2 for very negative raw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftplusPosteriorGradient;

impl Operation for SoftplusPosteriorGradient {
    const NAME: &'static str = "softplus_posterior_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [raw, d_posterior] = arity(Self::NAME, inputs)?;
        latent_of(Self::NAME, raw)?;
        same(Self::NAME, ["d_posterior", "input"], d_posterior, raw)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (input, d_posterior) = (inputs[0], inputs[1]);
        let latent = input.shape.cols() / 2;
        parallel_rows(outputs[0], 2 * latent, #[inline(always)] |row, d| {
            d.copy_from_slice(d_posterior.row(row));
            for (d, &raw) in d[latent..].iter_mut().zip(&input.row(row)[latent..]) {
                let ratio = if raw < T::from_f64(TAIL) {
                    T::one()
                } else {
                    Activation::Sigmoid.value(raw) / Activation::Softplus.value(raw)
                };
                *d = *d * (ratio + ratio);
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let latent = output.cols() / 2;
        Kernel::elementwise(fragment!("loss/softplus_posterior_gradient.wgsl"), output.rows() * latent)
            .link(fragment!("common/math.wgsl"))
            .constant("LATENT", latent)
    }

    fn cases() -> Vec<Case> {
        [([1, 2], Fill::Normal), ([63, 130], Fill::Normal), ([65, 126], Fill::Wide), ([128, 40], Fill::Wide)]
            .map(|(size, fill)| Case::new(SoftplusPosteriorGradient, 2, &[(size, fill), (size, Fill::Normal)]))
            .to_vec()
    }
}
