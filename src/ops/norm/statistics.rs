//! Means and variances: of each channel of each image, and of what is normalised together.

use super::*;

/// Mean and variance of each channel of each image: x `[n, h, w, c]` or `[n, c]`, value `[n, 2 c]`, rows `[mean | variance]`.
///
/// Two passes: squares are taken of differences from the mean. Variances are biased, divided by the number of pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments;

impl Operation for Moments {
    const NAME: &'static str = "moments";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(Self::NAME, inputs)?;
        Images::of(Self::NAME, x).map(Images::pairs_shape)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let images = Images::of(Self::NAME, inputs[0].shape).expect("the shape rule allowed it");
        let share = T::one() / T::from_f64(images.pixels as f64);
        parallel_images(outputs[0], images, #[inline(always)] |image, moments| {
            let x = images.get(inputs[0].values, image);
            let (means, variances) = moments.split_at_mut(images.channels);
            scratch(images.channels, #[inline(always)] |block: &mut [T]| {
                sum_pixels(x, means, block, #[inline(always)] |_, x| x);
                means.iter_mut().for_each(|mean| *mean = *mean * share);
                sum_pixels(x, variances, block, #[inline(always)] |c, x| {
                    let off = x - means[c];
                    off * off
                });
                variances.iter_mut().for_each(|variance| *variance = *variance * share);
            });
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "that of what is normalised goes through its statistics; they have none of their own")
    }

    fn kernel(&self, inputs: &[Shape], _: Shape, profile: &DeviceProfile) -> Kernel {
        let images = Images::of(Self::NAME, inputs[0]).expect("the shape rule allowed it");
        let merge = Kernel::elementwise(fragment!("norm/moments_of_parts.wgsl"), images.count * images.channels);
        let merge = merge.constant("CHANNELS", images.channels);
        images.pairs(fragment!("norm/moments.wgsl"), 1, merge, profile).loading_x().constant("IMAGES", images.count)
    }

    fn loads_half(&self, input: usize) -> bool {
        input == 0
    }

    fn cases() -> Vec<Case> {
        let shapes = normed().into_iter().map(|(_, x)| x).chain(MANY_PIXELS.map(Shape::of));
        shapes.map(|x| Case::new(Moments, 2 * x.rows() / x.extents()[0], &[(x, Fill::Normal)])).collect()
    }
}

/// `sums[c] = sum_p term(c, x[p, c])`, in blocks of pixels, so that rounding stays small; `block` is scratch memory.
#[inline(always)]
fn sum_pixels<T: Real>(x: &[T], sums: &mut [T], block: &mut [T], term: impl Fn(usize, T) -> T) {
    const BLOCK: usize = 64;
    let channels = sums.len();
    sums.fill(T::zero());
    for pixels in x.chunks(BLOCK * channels) {
        block.fill(T::zero());
        for pixel in pixels.chunks_exact(channels) {
            for (c, (sum, &x)) in block.iter_mut().zip(pixel).enumerate() {
                *sum = *sum + term(c, x);
            }
        }
        add(sums, block);
    }
}

/// `sums += terms`
#[inline(always)]
pub(super) fn add<T: Real>(sums: &mut [T], terms: &[T]) {
    for (sum, &term) in sums.iter_mut().zip(terms) {
        *sum = *sum + term;
    }
}

/// Mean and biased variance of what is normalised together: input [`Moments`], value `[n groups, 2]` over groups and `[c, 2]`
/// over the batch, whose images that do not count are left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// What is normalised together.
    pub over: Over,
}

impl Operation for Statistics {
    const NAME: &'static str = "statistics";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [moments] = arity(Self::NAME, inputs)?;
        let images = Images::of_pairs(Self::NAME, moments)?;
        Ok(Shape::new(self.over.rows_of_x(Self::NAME, images)?, 2))
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let moments = inputs[0];
        let channels = moments.shape.cols() / 2;
        if let Over::Group(groups) = self.over {
            let size = channels / groups;
            let share = T::one() / T::from_f64(size as f64);
            parallel_rows(outputs[0], 2 * groups, #[inline(always)] |image, statistics| {
                let (means, variances) = moments.row(image).split_at(channels);
                let groups = means.chunks_exact(size).zip(variances.chunks_exact(size));
                for (out, (means, variances)) in statistics.chunks_exact_mut(2).zip(groups) {
                    let mean = lane_sum(size, #[inline(always)] |c| means[c]) * share;
                    let sum = lane_sum_pairs(means, variances, #[inline(always)] |m, v| v + (m - mean) * (m - mean));
                    out.copy_from_slice(&[mean, sum * share]);
                }
            });
            return;
        }
        let counted = self.over.counted(step, moments.shape.rows());
        let count = T::from_f64(counted as f64);
        scratch(2 * channels, |sums: &mut [T]| vectorised(#[inline(always)] || {
            sums.fill(T::zero());
            let (means, variances) = sums.split_at_mut(channels);
            for image in 0..counted {
                add(means, &moments.row(image)[..channels]);
            }
            means.iter_mut().for_each(|mean| *mean = *mean / count);
            for image in 0..counted {
                let (of_image, within) = moments.row(image).split_at(channels);
                for (((sum, &m), &v), &mean) in variances.iter_mut().zip(of_image).zip(within).zip(&*means) {
                    *sum = *sum + (v + (m - mean) * (m - mean));
                }
            }
            for (out, (&mean, &sum)) in outputs[0].chunks_exact_mut(2).zip(means.iter().zip(&*variances)) {
                out.copy_from_slice(&[mean, sum / count]);
            }
        }));
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "that of what is normalised goes through its statistics; they have none of their own")
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let [images, channels] = [inputs[0].rows(), inputs[0].cols() / 2];
        match self.over {
            Over::Group(groups) => {
                let fragments = vec![fragment!("norm/statistics_group.wgsl"), fragment!("common/tree.wgsl")];
                Kernel::new(fragments, Entry::Run, REDUCTION, Grid::Rows(output.rows()))
                    .constant("IMAGES", images)
                    .constant("CHANNELS", channels)
                    .constant("GROUPS", groups)
            }
            over => over.link(columns(fragment!("norm/statistics_batch.wgsl"), channels, 1), images),
        }
    }

    fn cases() -> Vec<Case> {
        normed_by_x()
            .map(|(over, x)| {
                let moments = Shape::new(x.extents()[0], 2 * x.cols());
                Case::new(Statistics { over }, 2 * moments.len() / statistics_of(over, x).rows(), &[(moments, Fill::Normal)])
            })
            .collect()
    }
}
