//! Free bits: each latent dimension's divergence, averaged over the batch, counts only above a floor (Kingma, Salimans,
//! Jozefowicz, Chen, Sutskever and Welling 2016, "Improved variational inference with inverse autoregressive flow",
//! section "free bits" of its appendix, with a group for each dimension).

use super::*;

/// `y[0, e] = sum_{r < rows} (exp(logvar) + mean^2 - 1 - logvar) / 2 / rows` in nats, rows being the step's: input
/// `[mean | logvar]` of `[batch, 2 latent]`, value `[1, latent]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KlColumns;

impl Operation for KlColumns {
    const NAME: &'static str = "kl_columns";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [posterior] = arity(Self::NAME, inputs)?;
        Ok(Shape::new(1, latent_of(Self::NAME, posterior)?))
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let posterior = inputs[0];
        let latent = posterior.shape.cols() / 2;
        let rows = posterior.shape.rows().min(step.rows as usize);
        let half = T::from_f64(0.5 / f64::from(step.rows));
        parallel_row_sums(outputs[0], Shape::new(latent, posterior.shape.rows()), #[inline(always)] |e| {
            half * lane_sum(rows, #[inline(always)] |r| {
                let (mean, logvar) = (posterior.row(r)[e], posterior.row(r)[latent + e]);
                logvar.e_to() + mean * mean - T::one() - logvar
            })
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let inputs = [back.inputs[0], back.d_output];
        Ok(vec![Some(back.apply(KlColumnsGradient, &inputs)?)])
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let kernel = Kernel::reduction(fragment!("loss/kl_columns.wgsl"), output.cols());
        kl::link_posterior(kernel.batch_means(inputs[0].rows(), 1, 1), 0, output.cols())
    }

    fn cases() -> Vec<Case> {
        [[1, 2], [63, 130], [128, 40], [65, 126]]
            .map(|size| Case::new(KlColumns, size[0], &[(size, Fill::Normal)]))
            .to_vec()
    }
}

/// `d_mean = mean d_y[e] / rows`, `d_logvar = (exp(logvar) - 1) / 2 d_y[e] / rows` in row r < rows, else 0: inputs the
/// posterior and d_y `[1, latent]`, value of the posterior's shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KlColumnsGradient;

impl Operation for KlColumnsGradient {
    const NAME: &'static str = "kl_columns_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [posterior, d_y] = arity(Self::NAME, inputs)?;
        let latent = latent_of(Self::NAME, posterior)?;
        same(Self::NAME, ["d_y", "a divergence a dimension"], d_y, Shape::new(1, latent))?;
        Ok(posterior)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (posterior, d_y) = (inputs[0], inputs[1].values);
        let latent = posterior.shape.cols() / 2;
        let share = T::one() / T::from_f64(f64::from(step.rows));
        parallel_rows(outputs[0], 2 * latent, #[inline(always)] |row, d_posterior| {
            if row >= step.rows as usize {
                return d_posterior.fill(T::zero());
            }
            let (mean, logvar) = posterior.row(row).split_at(latent);
            for e in 0..latent {
                d_posterior[e] = mean[e] * d_y[e] * share;
                d_posterior[latent + e] = T::from_f64(0.5) * (logvar[e].e_to() - T::one()) * d_y[e] * share;
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let latent = output.cols() / 2;
        let kernel = Kernel::elementwise(fragment!("loss/kl_columns_gradient.wgsl"), output.rows() * latent);
        kl::link_posterior(kernel.link(fragment!("common/step.wgsl")), 0, latent)
    }

    fn cases() -> Vec<Case> {
        [[1, 2], [63, 130], [128, 40]]
            .map(|size| Case::new(KlColumnsGradient, 2, &[(size, Fill::Normal), ([1, size[1] / 2], Fill::Normal)]))
            .to_vec()
    }
}

/// `y = sum_c max(x[0, c], floor)`: input `[1, cols]`, value `[1, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FreeBits {
    /// What each term is at least, in nats.
    pub floor: f64,
}

impl Operation for FreeBits {
    const NAME: &'static str = "free_bits";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(Self::NAME, inputs)?;
        one_row(Self::NAME, x)?;
        Ok(Shape::SCALAR)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (x, floor) = (inputs[0].values, T::from_f64(self.floor));
        // Not `max`, which would swallow a NaN.
        outputs[0][0] = lane_sum(x.len(), #[inline(always)] |c| if x[c] < floor { floor } else { x[c] });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let inputs = [back.inputs[0], back.d_output];
        Ok(vec![Some(back.apply(FreeBitsGradient { floor: self.floor }, &inputs)?)])
    }

    fn kernel(&self, inputs: &[Shape], _: Shape, _: &DeviceProfile) -> Kernel {
        let mut kernel =
            Kernel::reduction(fragment!("reduce/free_bits.wgsl"), 1).of_length(inputs[0].cols()).storing(1);
        kernel.constants.push(("FLOOR", self.floor));
        kernel
    }

    fn cases() -> Vec<Case> {
        [(1, 0.25), (20, 0.1), (63, 0.0), (64, -0.5), (65, 0.25), (131, 0.7)]
            .map(|(cols, floor)| Case::new(FreeBits { floor }, cols, &[([1, cols], Fill::Normal)]))
            .to_vec()
    }
}

/// `d_x = d_y` where `x > floor`, else 0: inputs x `[1, cols]` and d_y `[1, 1]`, value of x's shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FreeBitsGradient {
    /// What each term is at least; the forward op's.
    pub floor: f64,
}

impl Operation for FreeBitsGradient {
    const NAME: &'static str = "free_bits_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x, d_y] = arity(Self::NAME, inputs)?;
        same(Self::NAME, ["d_y", "a sum"], d_y, Shape::SCALAR)?;
        one_row(Self::NAME, x)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (x, d_y, floor) = (inputs[0].values, inputs[1].values[0], T::from_f64(self.floor));
        outputs[0].iter_mut().zip(x).for_each(|(d_x, &x)| *d_x = if x > floor { d_y } else { T::zero() });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let mut kernel = Kernel::elementwise(fragment!("reduce/free_bits_gradient.wgsl"), output.len());
        kernel.constants.push(("FLOOR", self.floor));
        kernel
    }

    fn cases() -> Vec<Case> {
        [(1, 0.25), (65, 0.1), (131, -0.5)]
            .map(|(cols, floor)| {
                Case::new(FreeBitsGradient { floor }, 1, &[([1, cols], Fill::Normal), ([1, 1], Fill::Normal)])
            })
            .to_vec()
    }
}

fn one_row(name: &str, x: Shape) -> Result<Shape> {
    if x.rows() == 1 {
        return Ok(x);
    }
    graph_error(format!("{name}: x is {x}: it takes one row, a number a column"))
}
