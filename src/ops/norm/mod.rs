//! Normalisation by a mean and a variance: batch norm (Ioffe and Szegedy 2015) and group norm (Wu and He 2018), of which one
//! group is layer norm, as PyTorch's `nn.BatchNorm2d`, `nn.BatchNorm1d` and `nn.GroupNorm` do it.
//!
//! Images `[n, h, w, c]`, or rows `[n, c]` as images of one pixel, first become the [`Moments`] of each channel of each image, an
//! image's work at a time; [`Statistics`] are made of these. The backward pass goes the same way: [`NormSums`] of each channel
//! of each image, of which the gradients of scale and shift and the [`NormTerms`] of [`NormGradient`] are made.
//! [`Graph::normalise`](crate::graph::Graph::normalise) adds the three ops of the forward pass.

mod gradient;
mod normalise;
mod running;
mod statistics;

pub use gradient::{NormGradient, NormParameter, NormParameterGradient, NormScaledGradient, NormSums, NormTerms};
pub use normalise::Normalise;
pub use running::{RunningStatistics, UpdateRunning};
pub use statistics::{Moments, Statistics};

use super::*;
use crate::compute::scratch;

/// Least pixels of a part, where many pixels of few channels are shared out among workgroups.
const PART_MIN_PIXELS: usize = 256;
/// Most pixels of a part: each of a workgroup's 8 lines takes an eighth of them, twice, and Mesa's software drivers end loops after
/// 65,535 rounds.
const PART_MAX_PIXELS: usize = 1 << 17;

/// What shares a mean and a variance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// A group of neighbouring channels of an image, of so many groups: group norm, or with one group layer norm.
    Group(usize),
    /// A channel of all images that count, those of the step's rows: batch norm in training. What does not count becomes 0.
    Batch {
        /// Consecutive images of one example.
        samples: usize,
    },
    /// A channel, by statistics that do not depend on x: batch norm in evaluation.
    Running,
}

impl Over {
    /// Rows of the statistics, or why they do not suit the images.
    fn rows(self, name: &str, images: Images) -> Result<usize> {
        let Images { count, channels, .. } = images;
        match self {
            Over::Group(groups) if groups == 0 || !channels.is_multiple_of(groups) => graph_error(format!(
                "{name}: x has {channels} channels in {groups} groups: groups must fill the channels exactly"
            )),
            Over::Group(groups) => Ok(count * groups),
            Over::Batch { samples } if samples == 0 || !count.is_multiple_of(samples) => graph_error(format!(
                "{name}: x has {count} images, {samples} an example: examples must fill them exactly"
            )),
            Over::Batch { .. } | Over::Running => Ok(channels),
        }
    }

    /// [`Over::rows`] of statistics of x itself.
    fn rows_of_x(self, name: &str, images: Images) -> Result<usize> {
        if self == Over::Running {
            return graph_error(format!("{name}: over {self:?}: its statistics do not depend on x"));
        }
        self.rows(name, images)
    }

    /// How many of the images count.
    fn counted(self, step: &Step, images: usize) -> usize {
        match self {
            Over::Batch { samples } => images.min(step.rows as usize * samples),
            Over::Group(_) | Over::Running => images,
        }
    }

    /// Neighbouring channels that share a row of the statistics.
    fn size(self, channels: usize) -> usize {
        match self {
            Over::Group(groups) => channels / groups,
            Over::Batch { .. } | Over::Running => 1,
        }
    }

    /// Links what defines `counted()` and `statistic_of(image, c)`.
    fn link(self, kernel: Kernel, images: usize) -> Kernel {
        let kernel = kernel.constant("IMAGES", images);
        match self {
            Over::Group(groups) => kernel.link(fragment!("norm/over_group.wgsl")).constant("GROUPS", groups),
            Over::Batch { samples } => kernel
                .link(fragment!("norm/over_batch.wgsl"))
                .link(fragment!("common/step.wgsl"))
                .constant("SAMPLES", samples),
            Over::Running => kernel.link(fragment!("norm/over_running.wgsl")),
        }
    }
}

/// Images, or rows as images of one pixel.
#[derive(Clone, Copy, Debug)]
struct Images {
    count: usize,
    pixels: usize,
    channels: usize,
}

impl Images {
    fn of(name: &str, x: Shape) -> Result<Images> {
        match *x.extents() {
            [count, height, width, channels] => Ok(Images { count, pixels: height * width, channels }),
            [count, channels] => Ok(Images { count, pixels: 1, channels }),
            _ => graph_error(format!("{name}: x is {x}: it must be [batch, height, width, channels] or [batch, channels]")),
        }
    }

    /// Of the value `[images, 2 channels]` that has two numbers for each channel of each image.
    fn of_pairs(name: &str, pairs: Shape) -> Result<Images> {
        match *pairs.extents() {
            [count, cols] if cols.is_multiple_of(2) => Ok(Images { count, pixels: 1, channels: cols / 2 }),
            _ => graph_error(format!("{name}: got {pairs}: it must be [images, 2 channels]")),
        }
    }

    fn pairs_shape(self) -> Shape {
        Shape::new(self.count, 2 * self.channels)
    }

    /// Elements of an image.
    fn len(self) -> usize {
        self.pixels * self.channels
    }

    /// The elements of one.
    fn get<T>(self, x: &[T], image: usize) -> &[T] {
        &x[image * self.len()..][..self.len()]
    }

    /// A kernel of this file that makes two numbers a channel and an image, at the binding behind so many inputs. Its workgroups have
    /// 8 channels of an image each, or of a part of its pixels; then `merge` makes one of the parts.
    fn pairs(self, fragment: Fragment, inputs: usize, merge: Kernel, profile: &DeviceProfile) -> Kernel {
        let groups = self.count * self.channels.div_ceil(MIN_WORKGROUP);
        let parts = profile.parts(groups, self.pixels, self.pixels / PART_MIN_PIXELS, PART_MAX_PIXELS);
        let in_parts = |kernel: Kernel| {
            kernel
                .link(fragment!("norm/parts.wgsl"))
                .constant("PIXELS", self.pixels)
                .constant("PARTS", parts)
                .constant("PART_PIXELS", self.pixels.div_ceil(parts))
        };
        let kernel = in_parts(columns(fragment, self.channels, self.count * parts));
        match parts {
            1 => kernel.binding("PAIRS", inputs + 1),
            _ => {
                let then = Box::new(in_parts(merge).binding("PAIRS", inputs + 1));
                kernel.binding("PAIRS", inputs + 2).scratch(Scratch { words: parts * self.pairs_shape().len(), then })
            }
        }
    }
}

/// A kernel of these files whose workgroups have 8 channels each, so many times.
fn columns(fragment: Fragment, channels: usize, times: usize) -> Kernel {
    let fragments = vec![fragment, fragment!("norm/columns.wgsl"), fragment!("common/tree.wgsl")];
    Kernel::new(fragments, Entry::Run, REDUCTION, Grid::Rows(times * channels.div_ceil(MIN_WORKGROUP)))
        .constant("CHANNELS", channels)
}

/// A constant that is no whole number.
fn epsilon(mut kernel: Kernel, epsilon: f64) -> Kernel {
    kernel.constants.push(("EPSILON", epsilon));
    kernel
}

/// Parallel images: `f(image, row)` on each row of `out`, one an image, in tasks by the images' elements.
fn parallel_images<T: Real>(out: &mut [T], images: Images, f: impl Fn(usize, &mut [T]) + Sync) {
    const GRAIN: usize = 1 << 14;
    let cols = out.len() / images.count;
    let images_a_task = GRAIN.div_ceil(images.len());
    parallel_for(out.chunks_mut(cols * images_a_task).enumerate(), |(task, rows)| {
        vectorised(#[inline(always)] || {
            for (i, row) in rows.chunks_exact_mut(cols).enumerate() {
                f(task * images_a_task + i, row);
            }
        });
    });
}

/// The mean and `1 / sqrt(variance + epsilon)` of each channel: a row `[means | inverses]` an image, or one for all.
struct Table<'a, T> {
    values: &'a [T],
    channels: usize,
}

impl<T: Real> Table<'_, T> {
    /// Calls `f` with the table.
    fn with(over: Over, images: Images, statistics: &[T], epsilon: f64, f: impl FnOnce(Table<'_, T>)) {
        let Images { count, channels, .. } = images;
        let size = over.size(channels);
        let rows = if size > 1 || matches!(over, Over::Group(_)) { count } else { 1 };
        let epsilon = T::from_f64(epsilon);
        scratch(rows * 2 * channels, |values: &mut [T]| {
            let mut statistics = statistics.as_chunks::<2>().0.iter();
            for row in values.chunks_exact_mut(2 * channels) {
                let (means, inverses) = row.split_at_mut(channels);
                let groups = means.chunks_exact_mut(size).zip(inverses.chunks_exact_mut(size));
                for ((means, inverses), [mean, variance]) in groups.zip(statistics.by_ref()) {
                    means.fill(*mean);
                    inverses.fill(T::one() / (*variance + epsilon).sqrt());
                }
            }
            f(Table { values, channels });
        });
    }

    /// Means and inverses of an image's channels.
    #[inline(always)]
    fn of(&self, image: usize) -> (&[T], &[T]) {
        let cols = 2 * self.channels;
        let row = if self.values.len() == cols { 0 } else { image };
        self.values[row * cols..][..cols].split_at(self.channels)
    }
}

/// What the ops are tested on.
fn normed() -> Vec<(Over, Shape)> {
    let batch = |samples| Over::Batch { samples };
    vec![
        (Over::Group(1), Shape::of([3, 1, 1, 8])),
        (Over::Group(3), Shape::of([2, 5, 7, 12])),
        (Over::Group(5), Shape::of([63, 65])),
        (Over::Group(1), Shape::of([5, 4, 3, 130])),
        (Over::Group(4), Shape::of([2, 16, 17, 4])),
        (batch(1), Shape::of([1, 2, 1, 1])),
        (batch(1), Shape::of([65, 33])),
        (batch(2), Shape::of([24, 1, 1, 9])),
        (batch(1), Shape::of([4, 5, 3, 17])),
        (batch(3), Shape::of([6, 16, 17, 8])),
        (Over::Running, Shape::of([5, 3, 4, 7])),
        (Over::Running, Shape::of([65, 33])),
    ]
}

/// Images whose pixels are shared out, of which the last are more than loops of software adapters have rounds for.
const MANY_PIXELS: [[usize; 4]; 3] = [[1, 24, 25, 3], [2, 90, 91, 9], [1, 600, 601, 2]];

/// [`normed`] without statistics that do not depend on x.
fn normed_by_x() -> impl Iterator<Item = (Over, Shape)> {
    normed().into_iter().filter(|(over, _)| *over != Over::Running)
}

/// The shape of a case's statistics.
fn statistics_of(over: Over, x: Shape) -> Shape {
    let rows = Images::of("case", x).and_then(|images| over.rows("case", images));
    Shape::new(rows.expect("the cases fit"), 2)
}

/// Epsilon of the cases: variances are drawn from [0, 1), and tolerances are for values of size about 1.
const CASE_EPSILON: f64 = 0.125;
