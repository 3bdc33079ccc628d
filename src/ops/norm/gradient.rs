//! The gradients of normalisation. With `g = scale d_y` and `x_hat` the normalised x, and means over what shares statistics,
//! `d_x = (g - mean(g) - x_hat mean(g x_hat)) / sqrt(variance + epsilon)` (Ioffe and Szegedy 2015, section 3).

use super::normalise::{check, of_elements};
use super::statistics::add;
use super::*;

/// Why none of these has a gradient.
const ONCE: &str = "the second derivative of a normalisation is not implemented";

/// `sum_p d_y` and `sum_p d_y x_hat` of each channel of each image: inputs x, its statistics and d_y, value `[n, 2 c]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormSums {
    /// What was normalised together.
    pub over: Over,
    /// Added to the variance.
    pub epsilon: f64,
}

impl Operation for NormSums {
    const NAME: &'static str = "norm_sums";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x, statistics, d_y] = arity(Self::NAME, inputs)?;
        let images = check(Self::NAME, self.over, [x, statistics, Shape::of([x.cols()])])?;
        same(Self::NAME, ["d_y", "x"], d_y, x)?;
        Ok(images.pairs_shape())
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        const BLOCK: usize = 64;
        let images = Images::of(Self::NAME, inputs[0].shape).expect("the shape rule allowed it");
        let channels = images.channels;
        Table::with(self.over, images, inputs[1].values, self.epsilon, |table| {
            parallel_images(outputs[0], images, #[inline(always)] |image, sums| {
                let (means, inverses) = table.of(image);
                let [x, d_y] = [0, 2].map(|input| images.get(inputs[input].values, image).chunks(BLOCK * channels));
                sums.fill(T::zero());
                scratch(2 * channels, #[inline(always)] |block: &mut [T]| {
                    for (x, d_y) in x.zip(d_y) {
                        block.fill(T::zero());
                        let (plain, products) = block.split_at_mut(channels);
                        for (x, d_y) in x.chunks_exact(channels).zip(d_y.chunks_exact(channels)) {
                            let sums = plain.iter_mut().zip(products.iter_mut());
                            for ((sum, product), ((&x, &d_y), &mean)) in sums.zip(x.iter().zip(d_y).zip(means)) {
                                *sum = *sum + d_y;
                                *product = *product + d_y * (x - mean);
                            }
                        }
                        add(sums, block);
                    }
                });
                for (product, &inverse) in sums[channels..].iter_mut().zip(inverses) {
                    *product = *product * inverse;
                }
            });
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, ONCE)
    }

    fn kernel(&self, inputs: &[Shape], _: Shape, profile: &DeviceProfile) -> Kernel {
        let images = Images::of(Self::NAME, inputs[0]).expect("the shape rule allowed it");
        let merge = Kernel::elementwise(fragment!("norm/sums_of_parts.wgsl"), images.pairs_shape().len());
        let merge = merge.constant("COLS", 2 * images.channels);
        let kernel = images.pairs(fragment!("norm/sums.wgsl"), 3, merge, profile).loading_x();
        epsilon(self.over.link(kernel, images.count), self.epsilon)
    }

    fn loads_half(&self, input: usize) -> bool {
        input == 0
    }

    fn cases() -> Vec<Case> {
        normed()
            .into_iter()
            .chain(MANY_PIXELS.map(|x| (Over::Group(1), Shape::of(x))))
            .map(|(over, x)| {
                let inputs = [(x, Fill::Normal), (statistics_of(over, x), Fill::Unit), (x, Fill::Normal)];
                Case::new(NormSums { over, epsilon: CASE_EPSILON }, 4 * x.rows() / x.extents()[0], &inputs)
            })
            .collect()
    }
}

/// A parameter of a normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormParameter {
    /// What the normalised value is multiplied by; its gradient is `sum d_y x_hat`.
    Scale,
    /// What is then added; its gradient is `sum d_y`.
    Shift,
}

/// The gradient of a parameter, the sum over the images that count: input [`NormSums`], value `[c]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormParameterGradient {
    /// What was normalised together.
    pub over: Over,
    /// Which parameter.
    pub of: NormParameter,
}

impl NormParameterGradient {
    /// The first column of its sums.
    fn first(&self, channels: usize) -> usize {
        match self.of {
            NormParameter::Scale => channels,
            NormParameter::Shift => 0,
        }
    }
}

impl Operation for NormParameterGradient {
    const NAME: &'static str = "norm_parameter_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [sums] = arity(Self::NAME, inputs)?;
        let images = Images::of_pairs(Self::NAME, sums)?;
        self.over.rows(Self::NAME, images)?;
        Ok(Shape::of([images.channels]))
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let sums = inputs[0];
        let channels = sums.shape.cols() / 2;
        vectorised(#[inline(always)] || {
            outputs[0].fill(T::zero());
            for image in 0..self.over.counted(step, sums.shape.rows()) {
                add(outputs[0], &sums.row(image)[self.first(channels)..][..channels]);
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, ONCE)
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let channels = output.cols();
        let kernel = columns(fragment!("norm/parameter_gradient.wgsl"), channels, 1).constant("FIRST", self.first(channels));
        let over = match self.over {
            // Groups only say which statistics, which it does not read.
            Over::Group(_) => Over::Running,
            over => over,
        };
        over.link(kernel, inputs[0].rows())
    }

    fn cases() -> Vec<Case> {
        let mut cases = Vec::new();
        for (over, x) in normed() {
            for of in [NormParameter::Scale, NormParameter::Shift] {
                let images = x.extents()[0];
                let sums = [([images, 2 * x.cols()], Fill::Normal)];
                cases.push(Case::new(NormParameterGradient { over, of }, images, &sums));
            }
        }
        cases
    }
}

/// `mean(g)` and `mean(g x_hat)`: inputs [`NormSums`] and scale, value of the statistics' shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormTerms {
    /// What was normalised together.
    pub over: Over,
    /// Pixels of an image.
    pub pixels: usize,
}

impl Operation for NormTerms {
    const NAME: &'static str = "norm_terms";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [sums, scale] = arity(Self::NAME, inputs)?;
        let images = Images::of_pairs(Self::NAME, sums)?;
        same(Self::NAME, ["scale", "a number a channel"], scale, Shape::of([images.channels]))?;
        Ok(Shape::new(self.over.rows_of_x(Self::NAME, images)?, 2))
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (sums, scale) = (inputs[0], inputs[1].values);
        let channels = scale.len();
        if let Over::Group(groups) = self.over {
            let size = channels / groups;
            let share = T::one() / T::from_f64((size * self.pixels) as f64);
            parallel_rows(outputs[0], 2 * groups, #[inline(always)] |image, terms| {
                let (plain, products) = sums.row(image).split_at(channels);
                for (group, terms) in terms.chunks_exact_mut(2).enumerate() {
                    let part = group * size..(group + 1) * size;
                    for (term, sums) in terms.iter_mut().zip([plain, products]) {
                        let (scale, sums) = (&scale[part.clone()], &sums[part.clone()]);
                        *term = lane_sum_pairs(scale, sums, #[inline(always)] |scale, sum| scale * sum) * share;
                    }
                }
            });
            return;
        }
        let counted = self.over.counted(step, sums.shape.rows());
        let share = T::one() / T::from_f64((counted * self.pixels) as f64);
        scratch(2 * channels, |totals: &mut [T]| vectorised(#[inline(always)] || {
            totals.fill(T::zero());
            for image in 0..counted {
                add(totals, sums.row(image));
            }
            let (plain, products) = totals.split_at(channels);
            for ((terms, &scale), (&sum, &product)) in
                outputs[0].chunks_exact_mut(2).zip(scale).zip(plain.iter().zip(products))
            {
                let share = scale * share;
                terms.copy_from_slice(&[share * sum, share * product]);
            }
        }));
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, ONCE)
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let [images, channels] = [inputs[0].rows(), inputs[0].cols() / 2];
        let kernel = match self.over {
            Over::Group(groups) => {
                let fragments = vec![fragment!("norm/terms_group.wgsl"), fragment!("common/tree.wgsl")];
                Kernel::new(fragments, Entry::Run, REDUCTION, Grid::Rows(output.rows()))
                    .constant("IMAGES", images)
                    .constant("CHANNELS", channels)
                    .constant("GROUPS", groups)
            }
            over => over.link(columns(fragment!("norm/terms_batch.wgsl"), channels, 1), images),
        };
        kernel.constant("PIXELS", self.pixels)
    }

    fn cases() -> Vec<Case> {
        normed_by_x()
            .map(|(over, x)| {
                let images = x.extents()[0];
                let sums = Shape::new(images, 2 * x.cols());
                let op = NormTerms { over, pixels: x.rows() / images };
                let terms = sums.len() / statistics_of(over, x).rows();
                Case::new(op, terms, &[(sums, Fill::Normal), (Shape::of([x.cols()]), Fill::Normal)])
            })
            .collect()
    }
}

/// The gradient of x through its statistics too, 0 in images that do not count: inputs x, statistics, scale, d_y and
/// [`NormTerms`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormGradient {
    /// What was normalised together.
    pub over: Over,
    /// Added to the variance.
    pub epsilon: f64,
}

impl Operation for NormGradient {
    const NAME: &'static str = "norm_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x, statistics, scale, d_y, terms] = arity(Self::NAME, inputs)?;
        let images = check(Self::NAME, self.over, [x, statistics, scale])?;
        self.over.rows_of_x(Self::NAME, images)?;
        same(Self::NAME, ["d_y", "x"], d_y, x)?;
        same(Self::NAME, ["terms", "statistics"], terms, statistics)?;
        Ok(x)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let images = Images::of(Self::NAME, inputs[0].shape).expect("the shape rule allowed it");
        let (counted, channels, scale) = (self.over.counted(step, images.count), images.channels, inputs[2].values);
        let (size, terms) = (self.over.size(channels), inputs[4].values);
        let is_of_image = matches!(self.over, Over::Group(_));
        Table::with(self.over, images, inputs[1].values, self.epsilon, |table| {
            parallel_rows(outputs[0], images.len(), #[inline(always)] |image, d_x| {
                if image >= counted {
                    return d_x.fill(T::zero());
                }
                let (means, inverses) = table.of(image);
                let terms = if is_of_image { &terms[image * channels / size * 2..] } else { terms };
                // d_x = inverse (scale d_y) - slope (x - mean) - constant, by channel.
                scratch(2 * channels, #[inline(always)] |line: &mut [T]| {
                    let (slopes, constants) = line.split_at_mut(channels);
                    let groups = slopes.chunks_exact_mut(size).zip(constants.chunks_exact_mut(size));
                    let groups = groups.zip(inverses.chunks_exact(size));
                    for (((slopes, constants), inverses), terms) in groups.zip(terms.as_chunks::<2>().0) {
                        slopes.fill(terms[1] * inverses[0] * inverses[0]);
                        constants.fill(terms[0] * inverses[0]);
                    }
                    let [x, d_y] = [0, 3].map(|at| images.get(inputs[at].values, image).chunks_exact(channels));
                    for (d_x, (x, d_y)) in d_x.chunks_exact_mut(channels).zip(x.zip(d_y)) {
                        let by = means.iter().zip(inverses).zip(scale).zip(slopes.iter().zip(&*constants));
                        let elements = d_x.iter_mut().zip(x).zip(d_y);
                        for (((d_x, &x), &d_y), (((&mean, &inverse), &scale), (&slope, &constant))) in elements.zip(by) {
                            *d_x = (inverse * scale) * d_y - constant - slope * (x - mean);
                        }
                    }
                });
            });
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, ONCE)
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let kernel = Kernel::elementwise(fragment!("norm/gradient.wgsl"), output.len()).loading_x();
        of_elements(kernel, self.over, self.epsilon, inputs[0])
    }

    fn loads_half(&self, input: usize) -> bool {
        input == 0
    }

    fn cases() -> Vec<Case> {
        normed_by_x()
            .map(|(over, x)| {
                let (statistics, scale) = (statistics_of(over, x), Shape::of([x.cols()]));
                let inputs = [
                    (x, Fill::Normal),
                    (statistics, Fill::Unit),
                    (scale, Fill::Normal),
                    (x, Fill::Normal),
                    (statistics, Fill::Normal),
                ];
                Case::new(NormGradient { over, epsilon: CASE_EPSILON }, 64, &inputs)
            })
            .collect()
    }
}

/// The gradient of x where statistics are constants, `scale d_y / sqrt(variance + epsilon)`, 0 in images that do not count:
/// inputs statistics, scale and d_y.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormScaledGradient {
    /// What was normalised together.
    pub over: Over,
    /// Added to the variance.
    pub epsilon: f64,
}

impl Operation for NormScaledGradient {
    const NAME: &'static str = "norm_scaled_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [statistics, scale, d_y] = arity(Self::NAME, inputs)?;
        check(Self::NAME, self.over, [d_y, statistics, scale])?;
        Ok(d_y)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let images = Images::of(Self::NAME, inputs[2].shape).expect("the shape rule allowed it");
        let (counted, channels, scale) = (self.over.counted(step, images.count), images.channels, inputs[1].values);
        Table::with(self.over, images, inputs[0].values, self.epsilon, |table| {
            parallel_rows(outputs[0], images.len(), #[inline(always)] |image, d_x| {
                if image >= counted {
                    return d_x.fill(T::zero());
                }
                let (_, inverses) = table.of(image);
                let pixels = images.get(inputs[2].values, image).chunks_exact(channels);
                for (d_x, d_y) in d_x.chunks_exact_mut(channels).zip(pixels) {
                    for (((d_x, &d_y), &inverse), &scale) in d_x.iter_mut().zip(d_y).zip(inverses).zip(scale) {
                        *d_x = d_y * (inverse * scale);
                    }
                }
            });
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, ONCE)
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let kernel = Kernel::elementwise(fragment!("norm/scaled_gradient.wgsl"), output.len());
        of_elements(kernel, self.over, self.epsilon, inputs[2])
    }

    fn cases() -> Vec<Case> {
        normed()
            .into_iter()
            .map(|(over, x)| {
                let scale = Shape::of([x.cols()]);
                let inputs = [(statistics_of(over, x), Fill::Unit), (scale, Fill::Normal), (x, Fill::Normal)];
                Case::new(NormScaledGradient { over, epsilon: CASE_EPSILON }, 4, &inputs)
            })
            .collect()
    }
}
