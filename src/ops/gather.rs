//! Batches out of a resident data set of bytes: the epoch's permutation, the scaling to [0, 1], and binarisation.
//!
//! Rows past the end of the set (in a short last batch) repeat its last position; [`BatchMean`] masks them.

use super::*;
use crate::rng::{Draw, Permutation, Stream, uniform};

/// What becomes of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pixels {
    /// `byte / 255`.
    Grey,
    /// 1 from 128 on, else 0.
    Threshold,
    /// 1 with probability `byte / 255`, else 0, drawn anew at every step.
    Bernoulli(Stream),
}

/// `1 / 255` as kernels multiply by it.
const SCALE: f32 = 1.0 / 255.0;

impl Pixels {
    fn value<T: Real>(self, byte: u8, bits: impl FnOnce(Stream) -> u32) -> T {
        match self {
            Pixels::Grey => T::from_f64(f64::from(byte)) * T::from_f64(1.0 / 255.0),
            Pixels::Threshold => T::from_f64(f64::from(u8::from(byte >= 128))),
            Pixels::Bernoulli(stream) => {
                T::from_f64(f64::from(u8::from(uniform(bits(stream)) < f32::from(byte) * SCALE)))
            }
        }
    }
}

/// `x[r, c] = pixels(data[example(first + r), c])`: input a data set `[n, d]`, value `[rows, d]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gather {
    /// Rows of the batch.
    pub rows: usize,
    /// In the order of the epoch's permutation, or else in the set's own.
    pub shuffled: bool,
    /// What becomes of a byte.
    pub pixels: Pixels,
}

impl Operation for Gather {
    const NAME: &'static str = "gather";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [data] = arity(Self::NAME, inputs)?;
        if self.rows == 0 || self.rows > data.rows {
            return graph_error(format!(
                "gather: the batch is {} of {} examples: it must be at least 1 and no more than there are",
                self.rows, data.rows
            ));
        }
        Ok(Shape::new(self.rows, data.cols))
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let data = inputs[0];
        let (n, d) = (data.shape.rows as u32, data.shape.cols);
        let order = Permutation::from_keys(step.order, n);
        fill_rows(outputs[0], d, |row, out| {
            let position = step.first + row as u32;
            let place = position.min(n - 1);
            let example = if self.shuffled { order.at(place) } else { place };
            let bytes = &data.bytes[example as usize * d..][..d];
            for (c, (x, &byte)) in out.iter_mut().zip(bytes).enumerate() {
                let bits = |stream| Draw { seed: step.seed, stream, step: step.index }.bits(position, c as u32);
                *x = self.pixels.value(byte, bits);
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "a data set is not trained")
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &Profile) -> Kernel {
        let kernel = Kernel::elementwise(fragment!("gather.wgsl"), output.len())
            .link(fragment!("step.wgsl"))
            .constant("EXAMPLES", inputs[0].rows)
            .constant("COLS", output.cols);
        let kernel = kernel.link(if self.shuffled {
            fragment!("order_shuffled.wgsl")
        } else {
            fragment!("order_sequential.wgsl")
        });
        match self.pixels {
            Pixels::Grey => kernel.link(fragment!("pixel_grey.wgsl")),
            Pixels::Threshold => kernel.link(fragment!("pixel_threshold.wgsl")),
            Pixels::Bernoulli(stream) => kernel
                .link(fragment!("pixel_bernoulli.wgsl"))
                .link(fragment!("rng.wgsl"))
                .constant("STREAM", stream.id() as usize),
        }
    }

    fn cases() -> Vec<Case> {
        let mut cases = Vec::new();
        for pixels in [Pixels::Grey, Pixels::Threshold, Pixels::Bernoulli(Stream::Pixels)] {
            for shuffled in [true, false] {
                for [n, d, rows] in [[1, 1, 1], [65, 63, 64], [300, 784, 128], [131, 5, 131]] {
                    cases.push(Case::new(Gather { rows, shuffled, pixels }, 1, &[([n, d], Fill::Bytes)]));
                }
            }
        }
        cases
    }
}
