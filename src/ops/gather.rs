//! Batches out of a resident data set: the epoch's permutation, the scaling of bytes to [0, 1], and binarisation.
//!
//! Rows past the end of the set (in a short last batch) repeat its last position; [`BatchMean`] masks them.

use super::*;
use crate::rng::{Draw, Permutation, Stream};
use crate::step::MAX_STEPS;

/// Preprocessing of a pixel: `byte / 255`, or a real number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pixels {
    /// Unchanged.
    Grey,
    /// 1 from 1/2 on, which bytes are from 128 on; else 0.
    Threshold,
    /// 1 with the pixel as probability, else 0, drawn anew at every step.
    Bernoulli(Stream),
}

/// Which examples a batch has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Those from the step's first position on, in the data set's own order.
    Stored,
    /// Those at the positions from the step's first on of the epoch's permutation.
    Shuffled,
    /// The device holds only batches that were brought there, one a step of the submission: that of the step's slot.
    Streamed,
}

/// `1 / 255` as kernels multiply by it.
const SCALE: f32 = 1.0 / 255.0;

/// `x[r, c] = pixels(data[example(first + r), c])`: input a data set `[n, d]`, value `[rows, d]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gather {
    /// Rows of the batch.
    pub rows: usize,
    /// Which examples they are.
    pub order: Order,
    /// Preprocessing of a pixel.
    pub pixels: Pixels,
    /// How the data set is stored.
    pub dtype: DType,
}

impl Gather {
    /// Whether a product may read batches with this gather in its loads: not where pixels are drawn, which is too dear to
    /// do again for every tile.
    pub fn is_cheap(&self) -> bool {
        !matches!(self.pixels, Pixels::Bernoulli(_))
    }

    /// Links what defines `gathered_row`, `source` (or `source_vec4`, for reads of four elements that lie side by side) and `pixel`
    /// for the data set `[n, d]`; the caller says at which binding `DATA` is.
    pub(super) fn link_rows(&self, kernel: Kernel, data: Shape, by_vec4: bool) -> Kernel {
        let source = match self.dtype {
            DType::U8 => fragment!("data/source_u8.wgsl"),
            DType::F16 => fragment!("data/source_f16.wgsl"),
            DType::F32 | DType::U32 if by_vec4 => fragment!("data/source_f32_vec4.wgsl"),
            DType::F32 | DType::U32 => fragment!("data/source_f32.wgsl"),
        };
        let kernel = kernel.link(fragment!("common/step.wgsl")).link(source);
        let kernel = match self.order {
            Order::Shuffled => kernel
                .link(fragment!("data/gathered_row_shuffled.wgsl"))
                .constant("BATCH", self.rows)
                .table(self.row_table(data.rows())),
            Order::Stored => kernel.link(fragment!("data/gathered_row_stored.wgsl")).constant("EXAMPLES", data.rows()),
            Order::Streamed => kernel
                .link(fragment!("data/gathered_row_streamed.wgsl"))
                .constant("BATCH", self.rows)
                .constant("EXAMPLES", data.rows()),
        };
        match self.pixels {
            Pixels::Grey => kernel.link(fragment!("data/pixel_grey.wgsl")),
            Pixels::Threshold => kernel.link(fragment!("data/pixel_threshold.wgsl")),
            Pixels::Bernoulli(stream) => kernel
                .link(fragment!("data/pixel_bernoulli.wgsl"))
                .link(fragment!("common/rng.wgsl"))
                .constant("STREAM", stream.id() as usize),
        }
    }
}

impl Gather {
    /// The examples of each row of each step of a submission. A product walks the epoch's permutation for every tile, a
    /// hundred instructions a row; this way each row is looked up once a step.
    fn row_table(&self, examples: usize) -> Table {
        let words = MAX_STEPS * self.rows;
        let kernel = Kernel::elementwise(fragment!("data/batch_rows.wgsl"), words)
            .link(fragment!("rng/order_shuffled.wgsl"))
            .link(fragment!("common/step.wgsl"))
            .link(fragment!("common/steps.wgsl"))
            .constant("BATCH", self.rows)
            .constant("EXAMPLES", examples);
        Table { kernel: Box::new(kernel), words }
    }
}

impl Operation for Gather {
    const NAME: &'static str = "gather";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [data] = arity(Self::NAME, inputs)?;
        if self.rows == 0 || self.rows > data.rows() {
            return graph_error(format!(
                "gather: the batch is {} of {} examples: it must be at least 1 and no more than there are",
                self.rows, data.rows()
            ));
        }
        Ok(Shape::new(self.rows, data.cols()))
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let data = inputs[0];
        let (n, d) = (data.shape.rows() as u32, data.shape.cols());
        let order = Permutation::from_keys(step.order, n);
        parallel_rows(outputs[0], d, #[inline(always)] |row, out| {
            let position = step.first + row as u32;
            let place = position.min(n - 1);
            let example = match self.order {
                Order::Stored => place,
                Order::Shuffled => order.at(place),
                Order::Streamed => (step.slot * self.rows as u32 + row as u32).min(n - 1),
            };
            let at = example as usize * d;
            match self.dtype == DType::U8 {
                true => {
                    let scale = T::from_f64(1.0 / 255.0);
                    for (x, &byte) in out.iter_mut().zip(&data.bytes[at..][..d]) {
                        *x = T::from_f64(f64::from(byte)) * scale;
                    }
                }
                false => out.copy_from_slice(&data.values[at..][..d]),
            }
            // A pixel as kernels have it, in f32, which is what is compared.
            let seen = |c: usize, x: T| match self.dtype == DType::U8 {
                true => f32::from(data.bytes[at + c]) * SCALE,
                false => x.to_real64() as f32,
            };
            let one_if = |holds: bool| if holds { T::one() } else { T::zero() };
            match self.pixels {
                Pixels::Grey => {}
                Pixels::Threshold => {
                    for (c, x) in out.iter_mut().enumerate() {
                        *x = one_if(seen(c, *x) >= 0.5);
                    }
                }
                Pixels::Bernoulli(stream) => {
                    let draw = Draw { seed: step.seed, stream, step: step.index };
                    for (from, chances) in draw.uniform_pieces(position, d) {
                        for (c, (x, chance)) in (from..).zip(out[from..].iter_mut().zip(chances)) {
                            *x = one_if(chance < seen(c, *x));
                        }
                    }
                }
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "a data set is not trained")
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let kernel = Kernel::elementwise(fragment!("data/gather.wgsl"), output.len()).constant("COLS", output.cols());
        self.link_rows(kernel, inputs[0], false).binding("DATA", 1)
    }

    fn reads(&self) -> DType {
        self.dtype
    }

    fn cases() -> Vec<Case> {
        let mut cases = Vec::new();
        for pixels in [Pixels::Grey, Pixels::Threshold, Pixels::Bernoulli(Stream::Pixels)] {
            for order in [Order::Shuffled, Order::Stored, Order::Streamed] {
                for (dtype, fill) in [(DType::U8, Fill::Bytes), (DType::F32, Fill::Reals)] {
                    for [n, d, rows] in [[1, 1, 1], [65, 63, 64], [300, 784, 128], [131, 5, 131]] {
                        cases.push(Case::new(Gather { rows, order, pixels, dtype }, 1, &[([n, d], fill)]));
                    }
                }
            }
        }
        cases
    }
}
