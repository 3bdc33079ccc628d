//! What references are written in: the numbers, the views they read, and loops whose result no thread count changes.

use super::elementary;
use crate::graph::Shape;
use crate::simd::vectorised;
use rayon::prelude::*;

/// f32 or f64. The functions that references call are those of the C library in f64, and in f32 ones that vectorise
/// (`elementary.rs`).
pub trait Real: num_traits::Float + bytemuck::Pod + Default + Send + Sync + std::fmt::Debug + 'static {
    /// The nearest value.
    fn from_f64(value: f64) -> Self;
    /// The same value, exactly.
    fn to_real64(self) -> f64;
    /// `e^x`.
    fn e_to(self) -> Self;
    /// `log(1 + x)` for x in [0, 1].
    fn log1p_unit(self) -> Self;
    /// `tanh x`.
    fn tangent(self) -> Self;
}

impl Real for f32 {
    fn from_f64(value: f64) -> f32 {
        value as f32
    }
    fn to_real64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn e_to(self) -> f32 {
        elementary::exp(self)
    }
    #[inline(always)]
    fn log1p_unit(self) -> f32 {
        elementary::ln_1p_unit(self)
    }
    #[inline(always)]
    fn tangent(self) -> f32 {
        elementary::tanh(self)
    }
}

impl Real for f64 {
    fn from_f64(value: f64) -> f64 {
        value
    }
    fn to_real64(self) -> f64 {
        self
    }
    fn e_to(self) -> f64 {
        self.exp()
    }
    fn log1p_unit(self) -> f64 {
        self.ln_1p()
    }
    fn tangent(self) -> f64 {
        self.tanh()
    }
}

/// An input of a reference.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T> {
    /// The value's shape.
    pub shape: Shape,
    /// The elements, row-major; empty for a data set of bytes.
    pub values: &'a [T],
    /// The elements of a data set of bytes, row-major; empty for every other value.
    pub bytes: &'a [u8],
}

impl<'a, T> View<'a, T> {
    /// Row `r` of the elements.
    pub fn row(&self, r: usize) -> &'a [T] {
        &self.values[r * self.shape.cols..][..self.shape.cols]
    }
}

/// Below this many elements a loop is cheaper on one thread than handing it to others.
const PARALLEL_FROM: usize = 4096;

/// Computes each row of `out` (`cols` columns) by `f(row, out_row)`, on all threads where it pays.
pub(crate) fn fill_rows<T: Send>(out: &mut [T], cols: usize, f: impl Fn(usize, &mut [T]) + Sync + Send) {
    let rows_a_task = match out.len() {
        ..PARALLEL_FROM => out.len().div_ceil(cols.max(1)),
        _ => (PARALLEL_FROM / 2).div_ceil(cols),
    };
    let task = |(task, rows): (usize, &mut [T])| {
        vectorised(
            #[inline(always)]
            || {
                for (row, out) in rows.chunks_mut(cols).enumerate() {
                    f(task * rows_a_task + row, out);
                }
            },
        );
    };
    match out.len() {
        ..PARALLEL_FROM => task((0, out)),
        _ => out.par_chunks_mut(cols * rows_a_task).enumerate().for_each(task),
    }
}

/// `sum_i f(x_i, y_i)` over two rows of one length, in the order of [`lane_sum`].
#[inline(always)]
pub(crate) fn lane_sum_pairs<T: Real>(x: &[T], y: &[T], f: impl Fn(T, T) -> T) -> T {
    let mut lanes = [T::zero(); 8];
    let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<8>(), y.as_chunks::<8>());
    for (x, y) in xs.iter().zip(ys) {
        for lane in 0..8 {
            lanes[lane] = lanes[lane] + f(x[lane], y[lane]);
        }
    }
    for (lane, (&x, &y)) in x_rest.iter().zip(y_rest).enumerate() {
        lanes[lane] = lanes[lane] + f(x, y);
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

/// `sum_i f(i)` for `i < n`, in eight interleaved lanes and then a fixed tree: quick, accurate, the same everywhere.
#[inline(always)]
pub(crate) fn lane_sum<T: Real>(n: usize, f: impl Fn(usize) -> T) -> T {
    let mut lanes = [T::zero(); 8];
    let whole = n - n % 8;
    for start in (0..whole).step_by(8) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum = *sum + f(start + lane);
        }
    }
    for (lane, i) in (whole..n).enumerate() {
        lanes[lane] = lanes[lane] + f(i);
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}
