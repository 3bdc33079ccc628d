//! A prior that is a mixture of Gaussians, measured against N(0, I): what a VampPrior needs (Tomczak and Welling 2018, equation 9),
//! whose components are the posteriors of pseudo-inputs.
//!
//! The divergence from any prior p is that from N(0, I), which has a closed form, and `E_q[log N(z; 0, I) - log p(z)]`, of which one
//! draw is an estimate. With `w[r, k]` below the latter is `-log 1/K sum_k exp(-w[r, k])`, an [`ImportanceBound`].

use super::*;

/// `w[r, k] = log N(z[r]; 0, I) - log N(z[r]; mean[k], exp(logvar[k]))
/// = sum_e ((z - mean)^2 / exp(logvar) + logvar - z^2) / 2` in nats: inputs z `[rows, latent]` and components `[mean | logvar]`
/// `[K, 2 latent]`, value `[rows, K]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixturePrior;

impl Operation for MixturePrior {
    const NAME: &'static str = "mixture_prior";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [z, components] = arity(Self::NAME, inputs)?;
        sample_of(Self::NAME, z, components)?;
        Ok(Shape::new(z.rows(), components.rows()))
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (z, components) = (inputs[0], inputs[1]);
        let (latent, precisions) = (z.shape.cols(), precisions(components));
        parallel_rows(outputs[0], components.shape.rows(), #[inline(always)] |row, w| {
            let z = z.row(row);
            for (k, w) in w.iter_mut().enumerate() {
                let (mean, logvar) = components.row(k).split_at(latent);
                let precision = &precisions[k * latent..][..latent];
                let sum = lane_sum(latent, #[inline(always)] |e| {
                    let off = z[e] - mean[e];
                    off * off * precision[e] + logvar[e] - z[e] * z[e]
                });
                *w = T::from_f64(0.5) * sum;
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let inputs = [back.inputs[0], back.inputs[1], back.d_output];
        let d_z = if back.wanted[0] { Some(back.apply(MixturePriorSampleGradient, &inputs)?) } else { None };
        let d_components =
            if back.wanted[1] { Some(back.apply(MixturePriorComponentsGradient, &inputs)?) } else { None };
        Ok(vec![d_z, d_components])
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        of_components(Kernel::elementwise(fragment!("loss/mixture_prior.wgsl"), output.len()), inputs)
    }

    fn cases() -> Vec<Case> {
        cases(MixturePrior, 2)
    }
}

/// `d_z[r, e] = sum_k ((z - mean[k]) / exp(logvar[k]) - z) d_w[r, k]`: inputs z, components and d_w `[rows, K]`, value of z's shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixturePriorSampleGradient;

impl Operation for MixturePriorSampleGradient {
    const NAME: &'static str = "mixture_prior_sample_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [z, components, d_w] = arity(Self::NAME, inputs)?;
        sample_of(Self::NAME, z, components)?;
        same(Self::NAME, ["d_w", "w"], d_w, Shape::new(z.rows(), components.rows()))?;
        Ok(z)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (z, components, d_w) = (inputs[0], inputs[1], inputs[2]);
        let (latent, precisions) = (z.shape.cols(), precisions(components));
        parallel_rows(outputs[0], latent, #[inline(always)] |row, d_z| {
            d_z.fill(T::zero());
            let z = z.row(row);
            for (k, &d_w) in d_w.row(row).iter().enumerate() {
                let (mean, precision) = (&components.row(k)[..latent], &precisions[k * latent..][..latent]);
                for e in 0..latent {
                    d_z[e] = d_z[e] + ((z[e] - mean[e]) * precision[e] - z[e]) * d_w;
                }
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        of_components(Kernel::elementwise(fragment!("loss/mixture_prior_sample_gradient.wgsl"), output.len()), inputs)
    }

    fn cases() -> Vec<Case> {
        cases(MixturePriorSampleGradient, 3)
    }
}

/// `d_mean[k] = -sum_r (z[r] - mean) / exp(logvar) d_w[r, k]` and `d_logvar[k] = sum_r (1 - (z[r] - mean)^2 / exp(logvar)) / 2 d_w[r, k]`,
/// in the order of the rows: inputs z, components and d_w `[rows, K]`, value of the components' shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixturePriorComponentsGradient;

impl Operation for MixturePriorComponentsGradient {
    const NAME: &'static str = "mixture_prior_components_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        MixturePriorSampleGradient.shape(inputs)?;
        Ok(inputs[1])
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (z, components, d_w) = (inputs[0], inputs[1], inputs[2]);
        let (latent, precisions) = (z.shape.cols(), precisions(components));
        parallel_rows(outputs[0], 2 * latent, #[inline(always)] |k, d_component| {
            d_component.fill(T::zero());
            let (d_mean, d_logvar) = d_component.split_at_mut(latent);
            let (mean, precision) = (&components.row(k)[..latent], &precisions[k * latent..][..latent]);
            for row in 0..z.shape.rows() {
                let (z, d_w) = (z.row(row), d_w.row(row)[k]);
                for e in 0..latent {
                    let off = z[e] - mean[e];
                    let scaled = off * precision[e];
                    d_mean[e] = d_mean[e] - scaled * d_w;
                    d_logvar[e] = d_logvar[e] + T::from_f64(0.5) * (T::one() - off * scaled) * d_w;
                }
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let main = fragment!("loss/mixture_prior_components_gradient.wgsl");
        of_components(Kernel::elementwise(main, output.len() / 2), inputs).constant("ROWS", inputs[0].rows())
    }

    fn cases() -> Vec<Case> {
        cases(MixturePriorComponentsGradient, 3)
    }
}

/// `exp(-logvar)` of each component, `[K, latent]`.
fn precisions<T: Real>(components: View<'_, T>) -> Vec<T> {
    let latent = components.shape.cols() / 2;
    let logvars = (0..components.shape.rows()).flat_map(|k| &components.row(k)[latent..]);
    logvars.map(|&logvar| (-logvar).e_to()).collect()
}

fn of_components(kernel: Kernel, inputs: &[Shape]) -> Kernel {
    kernel.constant("LATENT", inputs[0].cols()).constant("COMPONENTS", inputs[1].rows())
}

/// Checks that components are of the space that z lies in.
fn sample_of(name: &str, z: Shape, components: Shape) -> Result<()> {
    let latent = latent_of(name, components)?;
    same(name, ["z", "a sample of a component"], Shape::new(z.rows(), latent), z).map(drop)
}

fn cases(op: impl Into<Op> + Copy, inputs: usize) -> Vec<Case> {
    [[1, 1, 1], [63, 5, 65], [20, 40, 3], [65, 2, 130]]
        .map(|[rows, latent, k]| {
            let all = [([rows, latent], Fill::Normal), ([k, 2 * latent], Fill::Normal), ([rows, k], Fill::Normal)];
            // A term is a square over a variance, about a hundred times a unit where logvar is -3.
            Case::new(op, 64 * (1 + rows.max(k).max(latent) / 16), &all[..inputs])
        })
        .to_vec()
}
