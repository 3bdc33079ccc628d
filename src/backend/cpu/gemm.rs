//! The one door to the `gemm` crate, whose interface is raw pointers.
//!
//! A product is cut into parts that threads take, each of which `gemm` computes on one thread: on two cores this ran 4 to
//! 14 % faster than its own threading over the products of a training step. How it is cut follows from the product's size
//! alone, never from the number of threads, because the order of a sum follows from the size of the part.

use crate::ops::Real;

/// Products of fewer multiplications stay on one thread: handing one over costs some microseconds.
const WORTH_SHARING: usize = 100_000;
/// Parts are cut in halves until they are narrower than twice this, which keeps packing a small share of the work.
const NARROW: usize = 160;
/// Parts begin at multiples of this, so that only the last has a ragged edge.
const EDGE: usize = 16;

/// Rows, columns and terms of a product, and where its matrices lie.
#[derive(Clone, Copy)]
struct Product<T> {
    m: usize,
    n: usize,
    k: usize,
    out: *mut T,
    out_strides: (isize, isize),
    a: *const T,
    a_strides: (isize, isize),
    b: *const T,
    b_strides: (isize, isize),
}

// SAFETY: parts of one product read shared matrices and write disjoint parts of another, all of which outlive the call.
#[allow(unsafe_code, reason = "pointers into slices that outlive the threads that use them")]
unsafe impl<T: Sync> Send for Product<T> {}

/// `out [m, n] = a [m, k] b [k, n]`, each with the strides `(row, col)` given, in elements.
#[allow(clippy::too_many_arguments, reason = "the numbers of one product")]
pub(crate) fn gemm<T: Real>(
    m: usize,
    n: usize,
    k: usize,
    out: &mut [T],
    out_strides: (isize, isize),
    a: &[T],
    a_strides: (isize, isize),
    b: &[T],
    b_strides: (isize, isize),
) {
    let inside = |len: usize, rows: usize, cols: usize, (row, col): (isize, isize)| {
        row > 0 && col > 0 && (rows - 1) * (row as usize) + (cols - 1) * (col as usize) < len
    };
    assert!(
        inside(out.len(), m, n, out_strides) && inside(a.len(), m, k, a_strides) && inside(b.len(), k, n, b_strides),
        "a product reaches past its matrices"
    );
    let (out, a, b) = (out.as_mut_ptr(), a.as_ptr(), b.as_ptr());
    let whole = Product { m, n, k, out, out_strides, a, a_strides, b, b_strides };
    match m * n * k {
        ..WORTH_SHARING => whole.run(),
        _ => whole.share(2),
    }
}

impl<T: Real> Product<T> {
    /// Cuts the longer side in two while the parts are wide, at least `fewest` of them, and runs them on all threads.
    fn share(self, fewest: usize) {
        let longer = self.m.max(self.n);
        if longer < 2 * EDGE || longer < 2 * NARROW && fewest < 2 {
            return self.run();
        }
        let at = (longer / 2).next_multiple_of(EDGE);
        let (left, right) = if self.n >= self.m { self.cut_columns(at) } else { self.cut_rows(at) };
        rayon::join(move || left.share(fewest / 2), move || right.share(fewest / 2));
    }

    #[allow(unsafe_code, reason = "the cut lies inside the matrices")]
    fn cut_columns(self, at: usize) -> (Self, Self) {
        // SAFETY: `at` < n, so both addresses are those of elements that `gemm` checked to be inside.
        let (out, b) = unsafe {
            (self.out.offset(at as isize * self.out_strides.1), self.b.offset(at as isize * self.b_strides.1))
        };
        (Product { n: at, ..self }, Product { n: self.n - at, out, b, ..self })
    }

    #[allow(unsafe_code, reason = "the cut lies inside the matrices")]
    fn cut_rows(self, at: usize) -> (Self, Self) {
        // SAFETY: `at` < m, so both addresses are those of elements that `gemm` checked to be inside.
        let (out, a) = unsafe {
            (self.out.offset(at as isize * self.out_strides.0), self.a.offset(at as isize * self.a_strides.0))
        };
        (Product { m: at, ..self }, Product { m: self.m - at, out, a, ..self })
    }

    #[allow(unsafe_code, reason = "gemm takes pointers; the extents are asserted where a product is made")]
    fn run(self) {
        let Product { m, n, k, out, out_strides, a, a_strides, b, b_strides } = self;
        // SAFETY: every element that the strides reach lies inside its slice (asserted in `gemm`), no other part writes
        // this part of `out`, and T is f32 or f64, both of which gemm multiplies.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                out,
                out_strides.1,
                out_strides.0,
                false,
                a,
                a_strides.1,
                a_strides.0,
                b,
                b_strides.1,
                b_strides.0,
                T::zero(),
                T::one(),
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_make_up_the_whole() {
        for [m, n, k] in [[1, 1, 1], [37, 700, 19], [1300, 33, 7], [129, 400, 61], [400, 785, 128], [16, 16, 1000]] {
            let value = |i: usize| f64::from((i * 37 % 101) as u32) / 101.0 - 0.5;
            let a: Vec<f64> = (0..m * k).map(value).collect();
            let b: Vec<f64> = (0..k * n).map(|i| value(i + 5)).collect();
            let mut out = vec![f64::NAN; m * n];
            gemm(m, n, k, &mut out, (n as isize, 1), &a, (k as isize, 1), &b, (n as isize, 1));
            for row in 0..m {
                for col in (0..n).step_by(7).chain([n - 1]) {
                    let wanted: f64 = (0..k).map(|i| a[row * k + i] * b[i * n + col]).sum();
                    assert!((out[row * n + col] - wanted).abs() < 1e-11, "[{m}, {n}, {k}]: {row} {col}");
                }
            }
            let threads = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
            let mut again = vec![f64::NAN; m * n];
            threads.install(|| {
                gemm(m, n, k, &mut again, (n as isize, 1), &a, (k as isize, 1), &b, (n as isize, 1));
            });
            assert!(out == again, "[{m}, {n}, {k}]: the number of threads changes the result");
        }
    }
}
