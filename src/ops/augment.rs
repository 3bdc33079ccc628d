//! Augmentation: each image of a batch is moved and mirrored by chance, anew at every step, so that a model learns that
//! neither matters.

use super::*;
use crate::rng::{Draw, Stream};

/// By how much images may be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Augmentation {
    /// Pixels that an image is moved at most, in each of the four directions; all from 0 to it are as likely. What comes
    /// in at an edge is 0.
    pub shift: u32,
    /// Mirror every other image, left to right.
    pub flip: bool,
}

/// `y[r, pixel] = x[r, where it came from]`, or 0 from outside: input and value images `[batch, height width channels]`.
///
/// Example `first + r` draws its move down (element 0), right (1), and whether it is mirrored (2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Augment {
    /// By how much.
    pub augmentation: Augmentation,
    /// Rows of pixels.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Values in a pixel.
    pub channels: usize,
    /// Where the draws come from.
    pub stream: Stream,
}

impl Operation for Augment {
    const NAME: &'static str = "augment";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(Self::NAME, inputs)?;
        let Augment { augmentation, height, width, channels, .. } = *self;
        if x.cols() != height * width * channels {
            return graph_error(format!("augment: x is {x}, images are {height}x{width}x{channels}: they must fit"));
        }
        if augmentation.shift as usize >= height.max(width) {
            let shift = augmentation.shift;
            return graph_error(format!("augment: shift is {shift}: it must be below the image's larger side"));
        }
        Ok(x)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let x = inputs[0];
        let Augment { augmentation: Augmentation { shift, flip }, height, width, channels, stream } = *self;
        let draw = Draw { seed: step.seed, stream, step: step.index };
        parallel_rows(outputs[0], x.shape.cols(), #[inline(always)] |row, y| {
            let example = step.first.wrapping_add(row as u32);
            let moved = |element| i64::from(draw.bits(example, element) % (2 * shift + 1)) - i64::from(shift);
            let (down, right) = (moved(0), moved(1));
            let mirrored = flip && draw.bits(example, 2) >> 31 == 1;
            for (at, pixel) in y.chunks_mut(channels).enumerate() {
                let (to_y, to_x) = (at / width, at % width);
                let (from_y, from_x) = (to_y as i64 - down, to_x as i64 - right);
                let inside = (0..height as i64).contains(&from_y) && (0..width as i64).contains(&from_x);
                if !inside {
                    pixel.fill(T::zero());
                    continue;
                }
                let from_x = if mirrored { width as i64 - 1 - from_x } else { from_x };
                let from = (from_y as usize * width + from_x as usize) * channels;
                pixel.copy_from_slice(&x.row(row)[from..from + channels]);
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "what it changes is data")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::elementwise(fragment!("data/augment.wgsl"), output.len())
            .link(fragment!("common/step.wgsl"))
            .link(fragment!("common/rng.wgsl"))
            .constant("STREAM", self.stream.id() as usize)
            .constant("HEIGHT", self.height)
            .constant("WIDTH", self.width)
            .constant("CHANNELS", self.channels)
            .constant("SHIFT", self.augmentation.shift as usize)
            .constant("FLIP", usize::from(self.augmentation.flip))
    }

    fn cases() -> Vec<Case> {
        let mut cases = Vec::new();
        for (shift, flip) in [(0, false), (0, true), (3, false), (2, true)] {
            for ([height, width, channels], batch) in [([1, 4, 1], 1), ([28, 28, 1], 65), ([5, 7, 3], 64)] {
                let augmentation = Augmentation { shift, flip };
                let op = Augment { augmentation, height, width, channels, stream: Stream::Augmentation };
                cases.push(Case::new(op, 1, &[([batch, height * width * channels], Fill::Normal)]));
            }
        }
        cases
    }
}
