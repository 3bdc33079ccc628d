//! Patches: a convolution's operands as rows of a matrix that is never stored, for the CPU.

use super::*;

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

    /// Elements of a row from `col` on.
    #[inline(always)]
    pub(super) fn fill(&self, row: usize, col: usize, values: &mut [T]) {
        let &[_, height, width, channels] = self.images.shape.extents() else {
            unreachable!("images have four extents")
        };
        let ([rows, cols], [taps_y, taps_x]) = (self.positions, self.taps);
        let (image, y, x) = (row / (rows * cols), row / cols % rows, row % cols);
        // Of taps side by side the pixels are one run of a line.
        let (runs, taps) = if taps_x.step == 1 { (1, taps_x.count) } else { (taps_x.count, 1) };
        let run = taps * channels;
        let image = &self.images.values[image * height * width * channels..][..height * width * channels];
        let from_x = (x * self.step) as isize + taps_x.first;
        let mut from_y = (y * self.step) as isize + taps_y.first;
        let (mut tx, mut within) = (0, 0);
        if col > 0 {
            from_y += (col / run / runs) as isize * taps_y.step;
            (tx, within) = (col / run % runs, col % run);
        }
        let mut rest = values;
        while !rest.is_empty() {
            let (part, others) = rest.split_at_mut((run - within).min(rest.len()));
            match usize::try_from(from_y) {
                Ok(line) if line < height => {
                    let at = (from_x + tx as isize * taps_x.step) * channels as isize + within as isize;
                    copy_run(part, &image[line * width * channels..][..width * channels], at);
                }
                _ => part.fill(T::zero()),
            }
            (rest, within, tx) = (others, 0, tx + 1);
            if tx == runs {
                (tx, from_y) = (0, from_y + taps_y.step);
            }
        }
    }

    /// Row `row` times the columns of `weights` `[n, cols]`, for so few columns that a vector would be mostly empty: sums run
    /// along k, in the order of [`lane_sum_pairs`].
    #[inline(always)]
    pub(super) fn times_few(&self, row: usize, weights: &[T], patch: &mut [T], sums: &mut [T]) {
        self.fill(row, 0, patch);
        for (sum, weights) in sums.iter_mut().zip(weights.chunks_exact(patch.len())) {
            *sum = lane_sum_pairs(patch, weights, #[inline(always)] |a, b| a * b);
        }
    }
}

/// Columns up to which [`Patches::times_few`] is taken.
pub(super) const FEW: usize = 4;

/// Copies elements of a line from `from` on; those beside it are 0.
#[inline(always)]
fn copy_run<T: Real>(to: &mut [T], line: &[T], from: isize) {
    let end = line.len() as isize;
    let skipped = from.min(0).unsigned_abs().min(to.len());
    let (before, rest) = to.split_at_mut(skipped);
    before.fill(T::zero());
    let held = (end - from.max(0)).clamp(0, rest.len() as isize) as usize;
    let (inside, after) = rest.split_at_mut(held);
    if held > 0 {
        inside.copy_from_slice(&line[from.max(0) as usize..][..held]);
    }
    after.fill(T::zero());
}

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

    #[test]
    fn runs_beside_a_line_are_zero() {
        let line = [1.0, 2.0, 3.0];
        for (from, wanted) in [
            (-1, [0.0, 1.0, 2.0, 3.0]),
            (1, [2.0, 3.0, 0.0, 0.0]),
            (-9, [0.0; 4]),
            (3, [0.0; 4]),
            (9, [0.0; 4]),
        ] {
            let mut to = [7.0; 4];
            copy_run(&mut to, &line, from);
            assert_eq!(to, wanted, "from {from}");
        }
    }
}
