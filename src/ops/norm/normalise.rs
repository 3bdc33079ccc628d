//! The forward op of normalisation.

use super::*;

/// `y = (x - mean) / sqrt(variance + epsilon) * scale + shift`: inputs x `[n, h, w, c]` or `[n, c]`, statistics
/// `[n groups, 2]` or `[c, 2]`, scale `[c]` and shift `[c]`; value of x's shape, 0 in images that do not count.
///
/// Statistics through which a gradient is asked for must be the [`Statistics`] of this x: the gradient of x is then the whole
/// one, theirs included. Others are constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalise {
    /// What is normalised together.
    pub over: Over,
    /// Added to the variance.
    pub epsilon: f64,
}

impl Operation for Normalise {
    const NAME: &'static str = "normalise";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x, statistics, scale, shift] = arity(Self::NAME, inputs)?;
        check(Self::NAME, self.over, [x, statistics, scale])?;
        same(Self::NAME, ["shift", "scale"], shift, scale)?;
        Ok(x)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let images = Images::of(Self::NAME, inputs[0].shape).expect("the shape rule allowed it");
        let (counted, channels) = (self.over.counted(step, images.count), images.channels);
        let [scale, shift] = [inputs[2].values, inputs[3].values];
        Table::with(self.over, images, inputs[1].values, self.epsilon, |table| {
            parallel_rows(outputs[0], images.len(), #[inline(always)] |image, y| {
                if image >= counted {
                    return y.fill(T::zero());
                }
                let (means, inverses) = table.of(image);
                let pixels = images.get(inputs[0].values, image).chunks_exact(channels);
                for (y, x) in y.chunks_exact_mut(channels).zip(pixels) {
                    let by = means.iter().zip(inverses).zip(scale.iter().zip(shift));
                    for ((y, &x), ((&mean, &inverse), (&scale, &shift))) in y.iter_mut().zip(x).zip(by) {
                        *y = (x - mean) * (inverse * scale) + shift;
                    }
                }
            });
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let Normalise { over, epsilon } = *self;
        let (x, statistics, scale, d_y) = (back.inputs[0], back.inputs[1], back.inputs[2], back.d_output);
        let [of_x, of_statistics, of_scale, of_shift] = [0, 1, 2, 3].map(|input| back.wanted[input]);
        if of_statistics && over == Over::Running {
            return back.none(Self::NAME, "running statistics are not trained");
        }
        if of_statistics && !of_x {
            return back.none(Self::NAME, "statistics have none of their own, only through the x that they are of");
        }
        let sums = match of_statistics || of_scale || of_shift {
            true => Some(back.apply(NormSums { over, epsilon }, &[x, statistics, d_y])?),
            false => None,
        };
        let d_x = match sums {
            Some(sums) if of_statistics => {
                let pixels = Images::of(Self::NAME, back.shape(x))?.pixels;
                let terms = back.apply(NormTerms { over, pixels }, &[sums, scale])?;
                Some(back.apply(NormGradient { over, epsilon }, &[x, statistics, scale, d_y, terms])?)
            }
            _ if of_x => {
                let d_x = NormScaledGradient { over, epsilon };
                Some(back.apply(d_x, &[statistics, scale, d_y])?)
            }
            _ => None,
        };
        let mut parameter = |of: NormParameter, wanted: bool| match sums {
            Some(sums) if wanted => back.apply(NormParameterGradient { over, of }, &[sums]).map(Some),
            _ => Ok(None),
        };
        Ok(vec![d_x, None, parameter(NormParameter::Scale, of_scale)?, parameter(NormParameter::Shift, of_shift)?])
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let kernel = Kernel::of_values(fragment!("norm/normalise.wgsl"), output.len(), inputs.len()).loading_x();
        of_elements(kernel, self.over, self.epsilon, inputs[0])
    }

    fn is_activation(&self) -> bool {
        true
    }

    fn loads_half(&self, input: usize) -> bool {
        input == 0
    }

    fn cases() -> Vec<Case> {
        let mut cases = Vec::new();
        for (over, x) in normed() {
            for epsilon in [CASE_EPSILON, 1e-5] {
                let parameter = Shape::of([x.cols()]);
                let inputs = [(x, Fill::Normal), (statistics_of(over, x), Fill::Unit)];
                let inputs = [inputs, [(parameter, Fill::Normal); 2]].concat();
                cases.push(Case::new(Normalise { over, epsilon }, 4, &inputs));
            }
        }
        cases
    }
}

/// Checks that images, their statistics and a value a channel fit each other.
pub(super) fn check(name: &str, over: Over, [x, statistics, scale]: [Shape; 3]) -> Result<Images> {
    let images = Images::of(name, x)?;
    same(name, ["statistics", "a mean and a variance a row"], statistics, Shape::new(over.rows(name, images)?, 2))?;
    same(name, ["scale", "a number a channel"], scale, Shape::of([images.channels]))?;
    Ok(images)
}

/// Gives an elementwise kernel what it asks of these images.
pub(super) fn of_elements(kernel: Kernel, over: Over, by: f64, x: Shape) -> Kernel {
    let images = Images::of(Normalise::NAME, x).expect("the shape rule allowed it");
    let kernel = kernel.constant("PIXELS", images.pixels).constant("CHANNELS", images.channels);
    epsilon(over.link(kernel, images.count), by)
}
