//! A logistic distribution over the 256 levels of a byte, with one learned scale (Kingma et al. 2016, "Improving variational inference
//! with inverse autoregressive flow"; Salimans et al. 2017, "PixelCNN++", section 2.1, whose mixture has several).
//!
//! A level's probability is the logistic's between the half levels beside it; the first is open downwards and the last upwards. With
//! `c = (x - y) exp(-logscale)`, `w = exp(-logscale) / 255`, a = c - w / 2 and b = c + w / 2 it is
//! `sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(-w))`, so that a level has
//! `-log p = softplus(-b) + softplus(a) - log(1 - exp(-w))`: no difference of close numbers, no logarithm of 0, and a last term that
//! all pixels share. The first level has softplus(-b) alone, the last softplus(a).

use super::*;

/// `loss[r] = sum_c -log p(x | y)` in nats: inputs the means y and the targets x, levels over 255, both `[batch, pixels]`, and
/// logscale `[1, 1]`; value `[batch, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiscretisedLogistic;

impl Operation for DiscretisedLogistic {
    const NAME: &'static str = "discretised_logistic";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [y, x, logscale] = arity(Self::NAME, inputs)?;
        fits(Self::NAME, y, x, logscale)?;
        Ok(Shape::new(y.rows(), 1))
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (y, x, scale) = (inputs[0], inputs[1], Levels::of(inputs[2].values[0]));
        parallel_row_sums(outputs[0], y.shape, #[inline(always)] |row| {
            lane_sum_pairs(y.row(row), x.row(row), #[inline(always)] |y, x| scale.loss(y, x))
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        if back.wanted[1] {
            return back.none(Self::NAME, "its target is data");
        }
        let (inputs, d) = ([back.inputs[0], back.inputs[1], back.inputs[2]], back.d_output);
        let d_y = match back.wanted[0] {
            true => Some(back.apply(DiscretisedLogisticGradient, &[inputs[0], inputs[1], inputs[2], d])?),
            false => None,
        };
        let d_logscale = match back.wanted[2] {
            true => {
                let slopes = back.apply(DiscretisedLogisticSlope, &inputs)?; // [batch, 1]
                Some(back.apply(Matmul::new(Transpose::A), &[slopes, d])?)
            }
            false => None,
        };
        Ok(vec![d_y, None, d_logscale])
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        sum_over_pixels(fragment!("loss/discretised_logistic.wgsl"), inputs[0], output)
    }

    fn cases() -> Vec<Case> {
        sizes().map(|(size, x)| Case::new(DiscretisedLogistic, size[1], &of_pixels(size, x))).to_vec()
    }
}

/// `d_y = (sigmoid(-b) - sigmoid(a)) exp(-logscale) d_loss[r]`, without the first term at the last level and the second at the first:
/// inputs y, x, logscale and d_loss `[batch, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiscretisedLogisticGradient;

impl Operation for DiscretisedLogisticGradient {
    const NAME: &'static str = "discretised_logistic_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [y, x, logscale, d_loss] = arity(Self::NAME, inputs)?;
        same(Self::NAME, ["d_loss", "loss"], d_loss, Shape::new(y.rows(), 1))?;
        fits(Self::NAME, y, x, logscale)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (y, x, scale, d_loss) = (inputs[0], inputs[1], Levels::of(inputs[2].values[0]), inputs[3]);
        parallel_rows(outputs[0], y.shape.cols(), #[inline(always)] |row, out| {
            let factor = scale.precision * d_loss.values[row];
            for (d, (&y, &x)) in out.iter_mut().zip(y.row(row).iter().zip(x.row(row))) {
                let [above, below] = scale.tails(y, x);
                *d = (above - below) * factor;
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        levels(Kernel::elementwise(fragment!("loss/discretised_logistic_gradient.wgsl"), output.len()))
            .constant("COLS", output.cols())
    }

    fn cases() -> Vec<Case> {
        sizes()
            .map(|(size, x)| {
                let inputs = [&of_pixels(size, x)[..], &[(Shape::new(size[0], 1), Fill::Normal)]].concat();
                Case::new(DiscretisedLogisticGradient, 4, &inputs)
            })
            .to_vec()
    }
}

/// The slope of [`DiscretisedLogistic`] in logscale, `y[r] = sum_c b sigmoid(-b) - a sigmoid(a) + w / (exp(w) - 1)`, of each level the
/// terms that it has: inputs y, x and logscale, value `[batch, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiscretisedLogisticSlope;

impl Operation for DiscretisedLogisticSlope {
    const NAME: &'static str = "discretised_logistic_slope";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        DiscretisedLogistic.shape(inputs)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (y, x, scale) = (inputs[0], inputs[1], Levels::of(inputs[2].values[0]));
        parallel_row_sums(outputs[0], y.shape, #[inline(always)] |row| {
            lane_sum_pairs(y.row(row), x.row(row), #[inline(always)] |y, x| scale.slope(y, x))
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        sum_over_pixels(fragment!("loss/discretised_logistic_slope.wgsl"), inputs[0], output)
    }

    fn cases() -> Vec<Case> {
        sizes().map(|(size, x)| Case::new(DiscretisedLogisticSlope, size[1], &of_pixels(size, x))).to_vec()
    }
}

/// What all pixels share.
#[derive(Clone, Copy)]
struct Levels<T> {
    /// `exp(-logscale)`.
    precision: T,
    /// Half of w.
    half_width: T,
    /// `log(1 - exp(-w))`.
    inner: T,
    /// Its slope in logscale, `-w / (exp(w) - 1)`.
    inner_slope: T,
    /// Half a level.
    half_level: T,
}

impl<T: Real> Levels<T> {
    fn of(logscale: T) -> Levels<T> {
        let precision = (-logscale).e_to();
        let width = precision * T::from_f64(1.0 / 255.0);
        // log(1 - exp(-w)) = log w + A(-w), by the cumulant function of the continuous Bernoulli.
        let (cumulant, mean) = continuous_bernoulli::cumulant(-width);
        Levels {
            precision,
            half_width: width * T::from_f64(0.5),
            inner: T::from_f64((1.0_f64 / 255.0).ln()) - logscale + cumulant,
            inner_slope: width * mean - T::one(),
            half_level: T::from_f64(0.5 / 255.0),
        }
    }

    /// `a` and `b`, and whether x is the first level and the last.
    #[inline(always)]
    fn edges(self, y: T, x: T) -> (T, T, bool, bool) {
        let c = (x - y) * self.precision;
        let (first, last) = (x < self.half_level, x > T::one() - self.half_level);
        (c - self.half_width, c + self.half_width, first, last)
    }

    #[inline(always)]
    fn loss(self, y: T, x: T) -> T {
        let (a, b, first, last) = self.edges(y, x);
        let [of_a, of_b] = [Activation::Softplus.value(a), Activation::Softplus.value(-b)];
        // Chosen value by value, so that loops vectorise.
        let of_a = if first { T::zero() } else { of_a };
        let of_b = if last { T::zero() } else { of_b };
        let inner = if first || last { T::zero() } else { self.inner };
        of_a + of_b - inner
    }

    /// `sigmoid(-b)` and `sigmoid(a)`, the probabilities beyond the level; 0 beyond the last and the first.
    #[inline(always)]
    fn tails(self, y: T, x: T) -> [T; 2] {
        let (a, b, first, last) = self.edges(y, x);
        let [above, below] = [Activation::Sigmoid.value(-b), Activation::Sigmoid.value(a)];
        [if last { T::zero() } else { above }, if first { T::zero() } else { below }]
    }

    #[inline(always)]
    fn slope(self, y: T, x: T) -> T {
        let (a, b, first, last) = self.edges(y, x);
        let [above, below] = self.tails(y, x);
        let inner = if first || last { T::zero() } else { self.inner_slope };
        b * above - a * below - inner
    }
}

fn fits(name: &str, y: Shape, x: Shape, logscale: Shape) -> Result<Shape> {
    same(name, ["logscale", "a scalar"], logscale, Shape::SCALAR)?;
    same(name, ["output", "target"], y, x)
}

fn levels(kernel: Kernel) -> Kernel {
    kernel.link(fragment!("loss/levels.wgsl")).link(fragment!("loss/cumulant.wgsl")).link(fragment!("common/math.wgsl"))
}

fn sum_over_pixels(summand: Fragment, pixels: Shape, output: Shape) -> Kernel {
    levels(Kernel::reduction(summand, output.rows()))
        .of_length(pixels.cols())
        .storing(3)
        .constant("COLS", pixels.cols())
}

/// Sizes, and what fills the targets: levels between the ends, and both ends.
fn sizes() -> [([usize; 2], Fill); 4] {
    [([1, 1], Fill::Unit), ([63, 65], Fill::Few), ([128, 784], Fill::Unit), ([3, 131], Fill::Unit)]
}

/// Inputs y, x and logscale.
fn of_pixels(size: [usize; 2], x: Fill) -> [(Shape, Fill); 3] {
    [(size.into(), Fill::Unit), (size.into(), x), (Shape::SCALAR, Fill::Normal)]
}
