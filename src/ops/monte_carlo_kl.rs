//! Monte-Carlo KL: the one-sample estimate `log q(z | x) - log p(z)`, which the importance-weighted bound needs in
//! place of the closed form (Burda, Grosse and Salakhutdinov 2016, equations 7 and 8).

use super::*;

/// `y[r] = log q(z | x) - log p(z) = sum_e (z^2 - (z - mean)^2 / exp(logvar) - logvar) / 2` in nats, q being
/// `N(mean, exp(logvar))` and p `N(0, I)`: inputs `[mean | logvar]` of `[batch, 2 latent]` and z `[batch, latent]`, value
/// `[batch, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MonteCarloKl;

impl Operation for MonteCarloKl {
    const NAME: &'static str = "monte_carlo_kl";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [posterior, z] = arity(Self::NAME, inputs)?;
        sample_of(Self::NAME, posterior, z)?;
        Ok(Shape::new(z.rows(), 1))
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (posterior, z) = (inputs[0], inputs[1]);
        let latent = z.shape.cols();
        parallel_row_sums(outputs[0], z.shape, #[inline(always)] |row| {
            let (mean, logvar) = posterior.row(row).split_at(latent);
            let z = z.row(row);
            let sum = lane_sum(latent, #[inline(always)] |e| {
                let off = z[e] - mean[e];
                z[e] * z[e] - off * off * (-logvar[e]).e_to() - logvar[e]
            });
            T::from_f64(0.5) * sum
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let inputs = [back.inputs[0], back.inputs[1], back.d_output];
        let d_posterior =
            if back.wanted[0] { Some(back.apply(MonteCarloKlPosteriorGradient, &inputs)?) } else { None };
        let d_z = if back.wanted[1] { Some(back.apply(MonteCarloKlSampleGradient, &inputs)?) } else { None };
        Ok(vec![d_posterior, d_z])
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let latent = inputs[1].cols();
        let kernel = Kernel::reduction(fragment!("loss/monte_carlo_kl.wgsl"), output.rows());
        kl::link_posterior(kernel.of_length(latent).storing(2), 0, latent)
    }

    fn cases() -> Vec<Case> {
        [[1, 1], [63, 65], [128, 20], [65, 63], [131, 64]]
            .map(|[rows, latent]| {
                let inputs = [([rows, 2 * latent], Fill::Normal), ([rows, latent], Fill::Normal)];
                // A term is a square over a variance, about a hundred times a unit where logvar is -3.
                Case::new(MonteCarloKl, 64 + latent, &inputs)
            })
            .to_vec()
    }
}

/// `d_mean = (z - mean) / exp(logvar) d_y[r]`, `d_logvar = ((z - mean)^2 / exp(logvar) - 1) / 2 d_y[r]`: inputs posterior,
/// z and d_y `[batch, 1]`, value of the posterior's shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MonteCarloKlPosteriorGradient;

impl Operation for MonteCarloKlPosteriorGradient {
    const NAME: &'static str = "monte_carlo_kl_posterior_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [posterior, z, d_y] = arity(Self::NAME, inputs)?;
        sample_of(Self::NAME, posterior, z)?;
        same(Self::NAME, ["d_y", "the row-wise KL"], d_y, Shape::new(z.rows(), 1))?;
        Ok(posterior)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (posterior, z, d_y) = (inputs[0], inputs[1], inputs[2]);
        let latent = z.shape.cols();
        parallel_rows(outputs[0], 2 * latent, #[inline(always)] |row, d_posterior| {
            let (mean, logvar) = posterior.row(row).split_at(latent);
            let (z, d_y) = (z.row(row), d_y.values[row]);
            for e in 0..latent {
                let off = z[e] - mean[e];
                let scaled = off * (-logvar[e]).e_to();
                d_posterior[e] = scaled * d_y;
                d_posterior[latent + e] = T::from_f64(0.5) * (off * scaled - T::one()) * d_y;
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, inputs: &[Shape], _: Shape, _: &DeviceProfile) -> Kernel {
        let kernel = Kernel::elementwise(fragment!("loss/monte_carlo_kl_posterior_gradient.wgsl"), inputs[1].len());
        kl::link_posterior(kernel, 0, inputs[1].cols())
    }

    fn cases() -> Vec<Case> {
        gradient_cases(MonteCarloKlPosteriorGradient)
    }
}

/// `d_z = (z - (z - mean) / exp(logvar)) d_y[r]`: inputs posterior, z and d_y `[batch, 1]`, value of z's shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MonteCarloKlSampleGradient;

impl Operation for MonteCarloKlSampleGradient {
    const NAME: &'static str = "monte_carlo_kl_sample_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [posterior, z, d_y] = arity(Self::NAME, inputs)?;
        sample_of(Self::NAME, posterior, z)?;
        same(Self::NAME, ["d_y", "the row-wise KL"], d_y, Shape::new(z.rows(), 1))?;
        Ok(z)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (posterior, z, d_y) = (inputs[0], inputs[1], inputs[2]);
        let latent = z.shape.cols();
        parallel_rows(outputs[0], latent, #[inline(always)] |row, d_z| {
            let (mean, logvar) = posterior.row(row).split_at(latent);
            let (z, d_y) = (z.row(row), d_y.values[row]);
            for e in 0..latent {
                d_z[e] = (z[e] - (z[e] - mean[e]) * (-logvar[e]).e_to()) * d_y;
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let kernel = Kernel::elementwise(fragment!("loss/monte_carlo_kl_sample_gradient.wgsl"), output.len());
        kl::link_posterior(kernel, 0, output.cols())
    }

    fn cases() -> Vec<Case> {
        gradient_cases(MonteCarloKlSampleGradient)
    }
}

/// The latent size, of a posterior and a sample that belong together.
fn sample_of(name: &str, posterior: Shape, z: Shape) -> Result<usize> {
    let latent = latent_of(name, posterior)?;
    same(name, ["z", "a posterior's sample"], z, Shape::new(posterior.rows(), latent))?;
    Ok(latent)
}

fn gradient_cases(op: impl Into<Op> + Copy) -> Vec<Case> {
    [[1, 1], [63, 65], [128, 20]]
        .map(|[rows, latent]| {
            let inputs = [([rows, 2 * latent], Fill::Normal), ([rows, latent], Fill::Normal), ([rows, 1], Fill::Normal)];
            // Each number has terms of a square over a variance, about a hundred where logvar is -3.
            Case::new(op, 64, &inputs)
        })
        .to_vec()
}
