//! What references are written in: the numbers, the views they read, and loops whose result no thread count changes.

use crate::graph::Shape;
use rayon::prelude::*;

/// f32 or f64.
pub trait Real: num_traits::Float + bytemuck::Pod + Default + Send + Sync + std::fmt::Debug + 'static {
    /// The nearest value.
    fn from_f64(value: f64) -> Self;
    /// The same value, exactly.
    fn to_real64(self) -> f64;
}

impl Real for f32 {
    fn from_f64(value: f64) -> f32 {
        value as f32
    }
    fn to_real64(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    fn from_f64(value: f64) -> f64 {
        value
    }
    fn to_real64(self) -> f64 {
        self
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
    if out.len() < PARALLEL_FROM {
        out.chunks_mut(cols).enumerate().for_each(|(row, out)| f(row, out));
    } else {
        let rows_a_task = (PARALLEL_FROM / 2).div_ceil(cols);
        out.par_chunks_mut(cols * rows_a_task).enumerate().for_each(|(task, rows)| {
            rows.chunks_mut(cols).enumerate().for_each(|(row, out)| f(task * rows_a_task + row, out));
        });
    }
}

/// `sum_i f(i)` for `i < n`, in eight interleaved lanes and then a fixed tree: quick, accurate, the same everywhere.
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
