//! Values in standard deviations from their mean: a layer of a normalizing flow, whose inverse is
//! [`Reparameterise`] with these values for noise (Papamakarios, Pavlakou and Murray 2017, equation 4).

use super::*;

/// `u = (x - mean) exp(-logvar / 2)`: inputs x `[rows, n]` and `[mean | logvar]` `[rows, 2 n]`, value `[rows, n]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Whiten;

impl Operation for Whiten {
    const NAME: &'static str = "whiten";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x, gaussian] = arity(Self::NAME, inputs)?;
        of_gaussian(Self::NAME, x, gaussian)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (x, gaussian) = (inputs[0], inputs[1]);
        parallel_heavy_rows(outputs[0], x.shape.cols(), #[inline(always)] |row, u| {
            let (mean, logvar) = gaussian.row(row).split_at(u.len());
            for (((u, &x), &mean), &logvar) in u.iter_mut().zip(x.row(row)).zip(mean).zip(logvar) {
                *u = (x - mean) * (T::from_f64(-0.5) * logvar).e_to();
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let count = back.shape(back.inputs[0]).cols();
        let d_gaussian = back.apply(WhitenGradient, &[back.inputs[0], back.inputs[1], back.d_output])?;
        let d_x = if back.wanted[0] {
            let d_mean = back.apply(Narrow { start: 0, count }, &[d_gaussian])?;
            Some(back.apply(Scale { factor: Factor::Constant(-1.0) }, &[d_mean])?)
        } else {
            None
        };
        Ok(vec![d_x, Some(d_gaussian)])
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        kl::link_posterior(Kernel::elementwise(fragment!("elementwise/whiten.wgsl"), output.len()), 1, output.cols())
    }

    fn cases() -> Vec<Case> {
        [[1, 1], [63, 65], [128, 20]]
            .map(|[rows, n]| Case::new(Whiten, 2, &[([rows, n], Fill::Normal), ([rows, 2 * n], Fill::Normal)]))
            .to_vec()
    }
}

/// `d_mean = -d_u exp(-logvar / 2)`, `d_logvar = -d_u u / 2`: inputs x, `[mean | logvar]` and d_u, value of the second one's shape. That
/// of x is `-d_mean`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WhitenGradient;

impl Operation for WhitenGradient {
    const NAME: &'static str = "whiten_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x, gaussian, d_u] = arity(Self::NAME, inputs)?;
        same(Self::NAME, ["d_u", "x"], d_u, of_gaussian(Self::NAME, x, gaussian)?)?;
        Ok(gaussian)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (x, gaussian, d_u) = (inputs[0], inputs[1], inputs[2]);
        let n = x.shape.cols();
        parallel_heavy_rows(outputs[0], 2 * n, #[inline(always)] |row, d_gaussian| {
            let (mean, logvar) = gaussian.row(row).split_at(n);
            let (d_mean, d_logvar) = d_gaussian.split_at_mut(n);
            let read = x.row(row).iter().zip(mean).zip(logvar).zip(d_u.row(row));
            for ((d_mean, d_logvar), (((&x, &mean), &logvar), &d_u)) in d_mean.iter_mut().zip(d_logvar).zip(read) {
                *d_mean = -d_u * (T::from_f64(-0.5) * logvar).e_to();
                *d_logvar = T::from_f64(0.5) * (x - mean) * *d_mean;
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, inputs: &[Shape], _: Shape, _: &DeviceProfile) -> Kernel {
        let kernel = Kernel::elementwise(fragment!("elementwise/whiten_gradient.wgsl"), inputs[0].len());
        kl::link_posterior(kernel, 1, inputs[0].cols())
    }

    fn cases() -> Vec<Case> {
        [[1, 1], [63, 65], [128, 20]]
            .map(|[rows, n]| {
                let inputs = [([rows, n], Fill::Normal), ([rows, 2 * n], Fill::Normal), ([rows, n], Fill::Normal)];
                Case::new(WhitenGradient, 3, &inputs)
            })
            .to_vec()
    }
}

/// The shape of values with a Gaussian each.
fn of_gaussian(name: &str, x: Shape, gaussian: Shape) -> Result<Shape> {
    same(name, ["[mean | logvar]", "twice x"], gaussian, Shape::new(x.rows(), 2 * x.cols()))?;
    Ok(x)
}
