//! Products on the CPU, each part by the `gemm` crate.
//!
//! A product is cut into parts that threads take, each of which `gemm` computes on one thread and a *finish* then changes
//! while it lies in the cache. How it is cut follows from the product's sizes and strides alone, never from the number of
//! threads, because the order of a sum follows from the size of the part.
//!
//! `gemm` packs its factors anew for each part, so the cuts decide how often. Parts are short in one direction and long in
//! the other: short in rows where `a` is stored transposed (a weight gradient), else in columns. The large products of a
//! step of 1024 images ran a few per cent faster so than in squarish parts; whole steps did not differ by more than the
//! machine's noise.

pub(crate) use crate::backend::unchecked::Matrix;
use crate::backend::unchecked::{Window, multiply};
use crate::ops::{FOUR, Real};
use crate::simd::vectorised;

/// Products of fewer multiplications stay on one thread: handing one over costs some microseconds.
const WORTH_SHARING: usize = 100_000;
/// Parts are cut in halves until their short side is below twice this: rows where `a` is stored transposed.
const SHORT_ROWS: usize = 160;
/// The same where it is not: columns.
const SHORT_COLUMNS: usize = 96;
/// The long side is cut until it is below twice this, so that a part with what it is made of stays in the outer caches.
const LONG: usize = 640;
/// Parts begin at multiples of this, so that only the last has a ragged edge.
const EDGE: usize = 16;

/// `out [m, n] = a [m, k] b [k, n]`.
pub(crate) fn gemm<T: Real>(sizes: [usize; 3], out: &mut [T], a: Matrix<'_, T>, b: Matrix<'_, T>) {
    gemm_then(sizes, out, a, b, |_, _, _| {});
}

/// `out [m, n] = a [m, k] b [k, n]` for `sizes` `[m, n, k]`, and then `finish(row, col, values)` on pieces of its rows, each
/// element in one piece: `values` are those from `(row, col)` on.
pub(crate) fn gemm_then<T: Real>(
    sizes: [usize; 3],
    out: &mut [T],
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    finish: impl Fn(usize, usize, &mut [T]) + Sync,
) {
    gemm_beside(
        sizes,
        out,
        &mut [],
        a,
        b,
        #[inline(always)]
        |row, col, values, _| finish(row, col, values),
    );
}

/// [`gemm_then`] with a second result `beside [m, ceil(n / 4)]`, an element for [`FOUR`] columns, or empty: `finish` is also
/// given those elements of it that stand beside its piece, to be written.
pub(crate) fn gemm_beside<T: Real>(
    [m, n, k]: [usize; 3],
    out: &mut [T],
    beside: &mut [T],
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    finish: impl Fn(usize, usize, &mut [T], &mut [T]) + Sync,
) {
    assert!(out.len() == m * n && a.holds(m, k) && b.holds(k, n), "a product reaches past its matrices");
    assert!(beside.is_empty() || beside.len() == m * n.div_ceil(FOUR), "a second result has another size");
    let beside = (!beside.is_empty()).then(|| Window::new(beside, n.div_ceil(FOUR)));
    let whole = Part { at: (0, 0), k, out: Window::new(out, n), beside, a, b, finish: &finish };
    match m * n * k {
        ..WORTH_SHARING => whole.run(),
        _ => whole.share(2),
    }
}

/// A part of a product, in sums of `k` terms.
struct Part<'a, T, F> {
    /// Its first row and column.
    at: (usize, usize),
    k: usize,
    out: Window<'a, T>,
    /// Its part of the second result, if there is one.
    beside: Option<Window<'a, T>>,
    /// The whole factors.
    a: Matrix<'a, T>,
    b: Matrix<'a, T>,
    finish: &'a F,
}

impl<T: Real, F: Fn(usize, usize, &mut [T], &mut [T]) + Sync> Part<'_, T, F> {
    /// Cuts a part that is too large, or that makes up `fewest` alone, in two, and runs both on all threads.
    fn share(self, fewest: usize) {
        let (m, n) = (self.out.rows, self.out.cols);
        let (short_rows, short_columns) = match self.a.strides.0 < self.a.strides.1 {
            true => (SHORT_ROWS, LONG),
            false => (LONG, SHORT_COLUMNS),
        };
        let (rows_over, columns_over) = (m / (2 * short_rows), n / (2 * short_columns));
        let by_columns = match (rows_over, columns_over) {
            (0, 0) if fewest < 2 || m.max(n) < 2 * EDGE => return self.run(),
            (0, 0) => n >= m,
            _ => columns_over >= rows_over,
        };
        let (left, right) = self.cut(by_columns);
        rayon::join(move || left.share(fewest / 2), move || right.share(fewest / 2));
    }

    fn cut(self, by_columns: bool) -> (Self, Self) {
        let Part { at: (row, col), k, out, beside, a, b, finish } = self;
        let half = (if by_columns { out.cols } else { out.rows } / 2).next_multiple_of(EDGE);
        let ((out, other), besides, at) = match by_columns {
            // EDGE is a multiple of FOUR.
            true => {
                (out.split_columns(half), beside.map(|beside| beside.split_columns(half / FOUR)), (row, col + half))
            }
            false => (out.split_rows(half), beside.map(|beside| beside.split_rows(half)), (row + half, col)),
        };
        let (beside, other_beside) = besides.unzip();
        let other = Part { at, k, out: other, beside: other_beside, a, b, finish };
        (Part { at: (row, col), k, out, beside, a, b, finish }, other)
    }

    fn run(self) {
        let Part { at: (row, col), k, mut out, mut beside, a, b, finish } = self;
        multiply(&mut out, a.from(row, 0), b.from(0, col), k);
        vectorised(
            #[inline(always)]
            || {
                for r in 0..out.rows {
                    let beside = beside.as_mut().map_or(Default::default(), |beside| beside.row(r));
                    finish(row + r, col, out.row(r), beside);
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_make_up_the_whole_and_are_finished_once() {
        for [m, n, k] in [[1, 1, 1], [37, 700, 19], [1300, 33, 7], [129, 400, 61], [700, 1500, 128], [16, 16, 1000]] {
            let value = |i: usize| f64::from((i * 37 % 101) as u32) / 101.0 - 0.5;
            let a: Vec<f64> = (0..m * k).map(value).collect();
            let b: Vec<f64> = (0..k * n).map(|i| value(i + 5)).collect();
            for a_transposed in [false, true] {
                let (left, (row_step, term_step)) = match a_transposed {
                    true => (Matrix::transposed(&a, m), (1, m)),
                    false => (Matrix::rows(&a, k), (k, 1)),
                };
                let product = || {
                    let mut out = vec![f64::NAN; m * n];
                    gemm_then([m, n, k], &mut out, left, Matrix::rows(&b, n), |row, col, values| {
                        values.iter_mut().enumerate().for_each(|(i, value)| *value += (row * n + col + i) as f64);
                    });
                    out
                };
                let out = product();
                for row in 0..m {
                    for col in (0..n).step_by(7).chain([n - 1]) {
                        let sum: f64 = (0..k).map(|i| a[row * row_step + i * term_step] * b[i * n + col]).sum();
                        let wanted = sum + (row * n + col) as f64;
                        assert!((out[row * n + col] - wanted).abs() < 1e-9, "[{m}, {n}, {k}]: {row} {col}");
                    }
                }
                let threads = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
                assert!(out == threads.install(product), "[{m}, {n}, {k}]: the number of threads changes the result");
            }
        }
    }
}
