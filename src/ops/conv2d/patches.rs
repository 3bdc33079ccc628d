//! Patches: a convolution's operands as rows of a matrix that is never stored, for the CPU.

use super::*;
use crate::compute::{Dots, Operand, Runs};

/// The matrix whose row `(n, y, x)` is the patch of image n at position `(y, x)`, in the order `(ty, tx, channel)` of taps. Tap
/// `(ty, tx)` of a position reads pixel `(y step + taps_y[ty], x step + taps_x[tx])`, or 0 beside the image.
pub(super) struct Patches<'a, T> {
    /// Images `[batch, height, width, channels]`.
    pub images: View<'a, T>,
    /// Positions along height and width.
    pub positions: [usize; 2],
    /// Pixels from a position to the next.
    pub step: usize,
    /// Offsets of the taps.
    pub taps: [Taps; 2],
}

/// Offsets of a window's taps along an axis: so many, from the first on, this far apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taps {
    pub count: usize,
    pub first: isize,
    pub step: isize,
}

impl<T: Real> Patches<'_, T> {
    /// Elements of a row.
    pub(super) fn cols(&self) -> usize {
        self.taps[0].count * self.taps[1].count * self.images.shape.cols()
    }

    /// Height, width and channels of an image.
    #[inline(always)]
    fn image(&self) -> [usize; 3] {
        let &[_, height, width, channels] = self.images.shape.extents() else {
            unreachable!("images have four extents")
        };
        [height, width, channels]
    }

    /// Positions from that of a row on.
    #[inline(always)]
    fn positions_from(&self, row: usize) -> impl Iterator<Item = Position> {
        let [rows, cols] = self.positions;
        let mut next = Position { image: row / (rows * cols), y: row / cols % rows, x: row % cols };
        std::iter::repeat_with(#[inline(always)] move || {
            let here = next;
            next.x += 1;
            if next.x == cols {
                (next.x, next.y) = (0, here.y + 1);
                if next.y == rows {
                    (next.y, next.image) = (0, here.image + 1);
                }
            }
            here
        })
    }

    /// Elements of columns from `(row, col)` on, of `rows` rows: those of neighbouring positions of a line are `step` pixels apart.
    #[inline(always)]
    fn fill_columns(&self, row: usize, col: usize, rows: usize, values: &mut [T]) {
        let mut positions = self.positions_from(row);
        let (mut first, mut at) = (0, positions.next());
        while let (Some(position), true) = (at, first < rows) {
            // Positions of one line.
            let count = (rows - first).min(self.positions[1] - position.x);
            self.fill_columns_of_line(position, col, values.chunks_exact_mut(rows).map(|column| &mut column[first..][..count]));
            first += count;
            at = positions.nth(count - 1);
        }
    }

    /// [`Patches::fill_columns`] for neighbouring positions of a line.
    #[inline(always)]
    fn fill_columns_of_line<'t>(&self, Position { image, y, x }: Position, col: usize, columns: impl Iterator<Item = &'t mut [T]>)
    where
        T: 't,
    {
        let [height, width, channels] = self.image();
        let ([taps_y, taps_x], apart) = (self.taps, self.step * channels);
        let (mut ty, mut tx, mut channel) = (col / channels / taps_x.count, col / channels % taps_x.count, col % channels);
        for values in columns {
            let at_y = ((y * self.step) as isize + taps_y.first + ty as isize * taps_y.step) as usize;
            let at_x = (x * self.step) as isize + taps_x.first + tx as isize * taps_x.step;
            if at_y >= height {
                values.fill(T::zero());
            } else {
                let line = &self.images.values[(image * height + at_y) * width * channels..][..width * channels];
                let last = at_x + ((values.len() - 1) * self.step) as isize;
                if at_x >= 0 && last < width as isize {
                    let line = &line[at_x as usize * channels + channel..];
                    match (apart, <&mut [T; 8]>::try_from(&mut *values)) {
                        (1, Ok(values)) => *values = *line.first_chunk().expect("they are inside"),
                        _ => values.iter_mut().zip(line.iter().step_by(apart)).for_each(|(to, &value)| *to = value),
                    }
                } else {
                    for (at, to) in values.iter_mut().enumerate() {
                        let at_x = (at_x + (at * self.step) as isize) as usize;
                        *to = if at_x < width { line[at_x * channels + channel] } else { T::zero() };
                    }
                }
            }
            channel += 1;
            if channel == channels {
                (channel, tx) = (0, tx + 1);
                if tx == taps_x.count {
                    (tx, ty) = (0, ty + 1);
                }
            }
        }
    }

    /// What reads it as an operand of a GEMM.
    pub(super) fn as_operand<R>(&self, f: impl FnOnce(Operand<'_, T>) -> R) -> R {
        let channels = self.images.shape.cols();
        match Runs::<T>::takes(channels) {
            true => f(Runs::new(self.images.values, channels, &|row, tap, taps, to: &mut [usize]| {
                self.find(row, tap, taps, to);
            })
            .into()),
            false => f(Computed::by_columns(&|row, col, rows, to: &mut [T]| self.fill_columns(row, col, rows, to)).into()),
        }
    }

    /// Where the channels of so many taps begin, from tap `first` on, of rows from `row` on; `usize::MAX` for those beside the image.
    #[inline(always)]
    fn find(&self, row: usize, first: usize, taps: usize, to: &mut [usize]) {
        let [height, width, channels] = self.image();
        let [taps_y, taps_x] = self.taps;
        let (first_y, first_x) = (first / taps_x.count, first % taps_x.count);
        for (Position { image, y, x }, to) in self.positions_from(row).zip(to.chunks_exact_mut(taps)) {
            let from_x = (x * self.step) as isize + taps_x.first;
            let mut at_y = (y * self.step) as isize + taps_y.first + first_y as isize * taps_y.step;
            let mut tx = first_x;
            for run in to {
                let at_x = from_x + tx as isize * taps_x.step;
                // Below 0 is above all sizes.
                let is_inside = (at_y as usize) < height && (at_x as usize) < width;
                *run = match is_inside {
                    true => ((image * height + at_y as usize) * width + at_x as usize) * channels,
                    false => usize::MAX,
                };
                tx += 1;
                if tx == taps_x.count {
                    (tx, at_y) = (0, at_y + taps_y.step);
                }
            }
        }
    }

    /// Rows from `row` on, one for each `N` of `sums`, times the columns of `weights` `[N, cols]`, for so few columns that a vector would
    /// be mostly empty: sums run along k, each line of a patch in the lanes of [`Dots`].
    #[inline(always)]
    fn times<'s, const N: usize>(&self, row: usize, weights: &[T], sums: impl Iterator<Item = &'s mut [T]>)
    where
        T: 's,
    {
        let k = self.cols();
        let mut columns = [&[] as &[T]; N];
        for (at, column) in columns.iter_mut().enumerate() {
            *column = &weights[at * k..][..k];
        }
        for (at, sums) in self.positions_from(row).zip(sums) {
            let mut dots = Dots::zero();
            self.runs_inside(
                at,
                #[inline(always)]
                |from, run| {
                    let mut of_run = [&[] as &[T]; N];
                    for (of_run, column) in of_run.iter_mut().zip(columns) {
                        *of_run = &column[from..][..run.len()];
                    }
                    dots.add(run, of_run);
                },
            );
            sums.copy_from_slice(&dots.totals());
        }
    }

    /// [`Patches::times`] for `n` columns, at most [`FEW`].
    pub(super) fn times_few<'s>(&self, row: usize, weights: &[T], n: usize, sums: impl Iterator<Item = &'s mut [T]>)
    where
        T: 's,
    {
        vectorised(
            #[inline(always)]
            || match n {
                1 => self.times::<1>(row, weights, sums),
                2 => self.times::<2>(row, weights, sums),
                3 => self.times::<3>(row, weights, sums),
                _ => self.times::<FEW>(row, weights, sums),
            },
        );
    }

    /// Calls `f` with each run of a patch inside its image, and where in the patch it begins.
    #[inline(always)]
    fn runs_inside(&self, Position { image, y, x }: Position, mut f: impl FnMut(usize, &[T])) {
        let [height, width, channels] = self.image();
        let [taps_y, taps_x] = self.taps;
        let (from_y, from_x) = ((y * self.step) as isize + taps_y.first, (x * self.step) as isize + taps_x.first);
        // Of taps side by side the pixels are one run of a line.
        let (runs, taps) = if taps_x.step == 1 { (1, taps_x.count) } else { (taps_x.count, 1) };
        for ty in 0..taps_y.count {
            let at_y = (from_y + ty as isize * taps_y.step) as usize;
            if at_y >= height {
                continue;
            }
            let line = &self.images.values[(image * height + at_y) * width * channels..][..width * channels];
            for tx in 0..runs {
                let first = from_x + tx as isize * taps_x.step;
                let (from, to) = (first.max(0), (first + taps as isize).min(width as isize));
                if from < to {
                    let at = (ty * taps_x.count + tx) as isize + from - first;
                    f(at as usize * channels, &line[from as usize * channels..to as usize * channels]);
                }
            }
        }
    }
}

/// Where a window is.
#[derive(Clone, Copy)]
struct Position {
    image: usize,
    y: usize,
    x: usize,
}

/// Columns up to which [`Patches::times_few`] is taken.
pub(super) const FEW: usize = 4;

impl Taps {
    /// Those of a convolution: a position's pixels in the image.
    pub(super) fn of(window: Window2d) -> Taps {
        let Window2d { kernel, padding, dilation, .. } = window;
        Taps { count: kernel, first: -(padding as isize), step: dilation as isize }
    }
}

/// Along an axis, what pixels `phase + stride * i` are computed from: only each `stride / g`-th tap of the kernel reaches them,
/// g the greatest common divisor of stride and dilation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Phase {
    /// Number of the first tap, in the order in which positions ascend.
    first: isize,
    /// From a tap to the next; below 0.
    step: isize,
    /// Where its taps read positions, relative to i.
    pub taps: Taps,
}

impl Phase {
    pub(super) fn of(window: Window2d, phase: usize) -> Phase {
        let Window2d { kernel, stride, padding, dilation } = window;
        let reaches = |tap: &usize| (phase + padding).abs_diff(tap * dilation).is_multiple_of(stride);
        let mut taps = (0..kernel).rev().filter(reaches);
        let Some(first) = taps.next() else {
            return Phase { first: 0, step: 0, taps: Taps { count: 0, first: 0, step: 1 } };
        };
        let second = taps.next();
        let count = 1 + usize::from(second.is_some()) + taps.count();
        let position = |tap: usize| ((phase + padding) as isize - (tap * dilation) as isize) / stride as isize;
        let step = second.map_or(1, |second| position(second) - position(first));
        let between = second.map_or(0, |second| second as isize - first as isize);
        Phase { first: first as isize, step: between, taps: Taps { count, first: position(first), step } }
    }

    /// The kernel's tap that is the phase's `tap`-th.
    pub(super) fn tap(self, tap: usize) -> usize {
        (self.first + tap as isize * self.step) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_share_out_the_taps() {
        let halving = Window2d::new(4).stride(2).padding(1);
        let [even, odd] = [0, 1].map(|phase| Phase::of(halving, phase));
        // Pixel 2 i: tap 3 at position i - 1, tap 1 at i; pixel 2 i + 1: tap 2 at i, tap 0 at i + 1.
        assert_eq!((even.taps, even.tap(0), even.tap(1)), (Taps { count: 2, first: -1, step: 1 }, 3, 1));
        assert_eq!((odd.taps, odd.tap(0), odd.tap(1)), (Taps { count: 2, first: 0, step: 1 }, 2, 0));
        let gaps = Window2d::new(2).stride(4).dilation(2);
        let counts = [0, 1, 2, 3].map(|phase| Phase::of(gaps, phase).taps.count);
        assert_eq!(counts, [1, 0, 1, 0]);
    }
}
