//! The likelihood of a Gaussian with one variance (Rybkin, Daniilidis and Levine 2021, "Simple and effective VAE training with
//! calibrated decoders": the sigma-VAE): learned with the weights, or the best of each batch, [`OptimalLogvar`].
//!
//! There is no mask here: rows that do not count have d = 0 from [`BatchMean`].

use super::*;

/// `y[r] = (s[r] exp(-logvar) + features (logvar + log 2 pi)) / 2` in nats: inputs the squared error s `[batch, 1]`, a sum
/// over `features` elements, and logvar `[1, 1]`; value `[batch, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gaussian {
    /// Elements behind each squared error.
    pub features: usize,
}

impl Operation for Gaussian {
    const NAME: &'static str = "gaussian";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [squared_error, logvar] = arity(Self::NAME, inputs)?;
        fits(Self::NAME, squared_error, logvar)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (s, logvar) = (inputs[0].values, inputs[1].values[0]);
        let half = T::from_f64(0.5);
        let scale = half * (-logvar).e_to();
        let constant = half * T::from_f64(self.features as f64) * (logvar + T::from_f64(LOG_TWO_PI));
        outputs[0].iter_mut().zip(s).for_each(|(y, &s)| *y = s * scale + constant);
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let (s, logvar, d) = (back.inputs[0], back.inputs[1], back.d_output);
        let d_s = if back.wanted[0] { Some(back.apply(GaussianErrorGradient, &[logvar, d])?) } else { None };
        let op = GaussianVarianceGradient { features: self.features };
        let d_logvar = if back.wanted[1] { Some(back.apply(op, &[s, logvar, d])?) } else { None };
        Ok(vec![d_s, d_logvar])
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let mut kernel =
            Kernel::elementwise(fragment!("loss/gaussian.wgsl"), output.rows()).constant("FEATURES", self.features);
        kernel.constants.push(("LOG_TWO_PI", LOG_TWO_PI));
        kernel
    }

    fn cases() -> Vec<Case> {
        [(1, 1), (63, 784), (128, 12), (1021, 65)]
            .map(|(batch, features)| {
                Case::new(Gaussian { features }, 2 + features, &[([batch, 1], Fill::Unit), ([1, 1], Fill::Normal)])
            })
            .to_vec()
    }
}

/// The log-variance by which [`Gaussian`] of a batch is least: `y = log max(x / elements, 1e-12)` of the batch's mean squared error x
/// `[1, 1]`, a sum over so many elements (Rybkin et al., equation 6); value `[1, 1]`.
///
/// Of a mean of [`Gaussian`] the derivative with respect to this variance is 0, as there it is least; of an importance-weighted bound it
/// is not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimalLogvar {
    /// Elements behind each squared error.
    pub elements: usize,
}

/// The least variance: of pixels that are off by a millionth.
const LEAST_VARIANCE: f64 = 1e-12;

impl Operation for OptimalLogvar {
    const NAME: &'static str = "optimal_logvar";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [mean] = arity(Self::NAME, inputs)?;
        same(Self::NAME, ["the mean squared error", "a scalar"], mean, Shape::SCALAR)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let variance = inputs[0].values[0] / T::from_f64(self.elements as f64);
        outputs[0][0] = variance.max(T::from_f64(LEAST_VARIANCE)).ln();
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let (x, d_y, elements) = (back.inputs[0], back.d_output, self.elements);
        Ok(vec![Some(back.apply(OptimalLogvarGradient { elements }, &[x, d_y])?)])
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::elementwise(fragment!("loss/optimal_logvar.wgsl"), output.len()).constant("ELEMENTS", self.elements)
    }

    fn cases() -> Vec<Case> {
        [1, 784].map(|elements| Case::new(OptimalLogvar { elements }, 4, &[([1, 1], Fill::Unit)])).to_vec()
    }
}

/// `d_x = d_y / x`, 0 where x is too small for its variance: inputs x and d_y, value d_x, all `[1, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimalLogvarGradient {
    /// Elements behind each squared error; the forward op's.
    pub elements: usize,
}

impl Operation for OptimalLogvarGradient {
    const NAME: &'static str = "optimal_logvar_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [mean, d_y] = arity(Self::NAME, inputs)?;
        same(Self::NAME, ["the mean squared error", "a scalar"], mean, Shape::SCALAR)?;
        same(Self::NAME, ["d_y", "a scalar"], d_y, Shape::SCALAR)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (x, d_y) = (inputs[0].values[0], inputs[1].values[0]);
        let is_above = x / T::from_f64(self.elements as f64) > T::from_f64(LEAST_VARIANCE);
        outputs[0][0] = if is_above { d_y / x } else { T::zero() };
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let file = fragment!("loss/optimal_logvar_gradient.wgsl");
        Kernel::elementwise(file, output.len()).constant("ELEMENTS", self.elements)
    }

    fn cases() -> Vec<Case> {
        let inputs = [([1, 1], Fill::Unit), ([1, 1], Fill::Normal)];
        [1, 784].map(|elements| Case::new(OptimalLogvarGradient { elements }, 4, &inputs)).to_vec()
    }
}

const LOG_TWO_PI: f64 = 1.837_877_066_409_345_5;

/// `d_s[r] = exp(-logvar) / 2 d_y[r]`: inputs logvar `[1, 1]` and d_y `[batch, 1]`, value `[batch, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaussianErrorGradient;

impl Operation for GaussianErrorGradient {
    const NAME: &'static str = "gaussian_error_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [logvar, d_y] = arity(Self::NAME, inputs)?;
        fits(Self::NAME, d_y, logvar)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let scale = T::from_f64(0.5) * (-inputs[0].values[0]).e_to();
        outputs[0].iter_mut().zip(inputs[1].values).for_each(|(d_s, &d_y)| *d_s = scale * d_y);
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::elementwise(fragment!("loss/gaussian_error_gradient.wgsl"), output.rows())
    }

    fn cases() -> Vec<Case> {
        [1, 65, 128]
            .map(|batch| Case::new(GaussianErrorGradient, 1, &[([1, 1], Fill::Normal), ([batch, 1], Fill::Normal)]))
            .to_vec()
    }
}

/// `d_logvar = sum_r (features - s[r] exp(-logvar)) / 2 d_y[r]`: inputs s `[batch, 1]`, logvar `[1, 1]` and d_y
/// `[batch, 1]`, value `[1, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaussianVarianceGradient {
    /// Elements behind each squared error; the forward op's.
    pub features: usize,
}

impl Operation for GaussianVarianceGradient {
    const NAME: &'static str = "gaussian_variance_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [squared_error, logvar, d_y] = arity(Self::NAME, inputs)?;
        fits(Self::NAME, squared_error, logvar)?;
        same(Self::NAME, ["d_y", "squared error"], d_y, squared_error)?;
        Ok(Shape::SCALAR)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (s, logvar, d_y) = (inputs[0].values, inputs[1].values[0], inputs[2].values);
        let (precision, features) = ((-logvar).e_to(), T::from_f64(self.features as f64));
        outputs[0][0] = T::from_f64(0.5) * lane_sum(s.len(), #[inline(always)] |r| (features - s[r] * precision) * d_y[r]);
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, inputs: &[Shape], _: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::reduction(fragment!("loss/gaussian_variance_gradient.wgsl"), 1)
            .of_length(inputs[0].rows())
            .storing(3)
            .constant("FEATURES", self.features)
    }

    fn cases() -> Vec<Case> {
        [(1, 1), (63, 784), (65, 12), (1021, 65)]
            .map(|(batch, features)| {
                let inputs = [([batch, 1], Fill::Unit), ([1, 1], Fill::Normal), ([batch, 1], Fill::Normal)];
                Case::new(GaussianVarianceGradient { features }, batch * features, &inputs)
            })
            .to_vec()
    }
}

/// A number an example, and the one log-variance: the shape of the former.
fn fits(name: &str, column: Shape, logvar: Shape) -> Result<Shape> {
    same(name, ["logvar", "a scalar"], logvar, Shape::SCALAR)?;
    same(name, ["an example's number", "a column"], column, Shape::new(column.rows(), 1))
}
