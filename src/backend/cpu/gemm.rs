//! The one door to the `gemm` crate, whose interface is raw pointers.

use crate::ops::Real;

/// `out [m, n] = a [m, k] b [k, n]`, each with the strides `(row, col)` given, in elements.
#[allow(clippy::too_many_arguments, reason = "the numbers of one product")]
#[allow(unsafe_code, reason = "gemm takes pointers; the extents are asserted here")]
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
    // Small products are not worth handing to other threads.
    let parallelism = match m * n * k {
        ..100_000 => gemm::Parallelism::None,
        _ => gemm::Parallelism::Rayon(0),
    };
    // SAFETY: every element that the strides reach lies inside its slice (asserted above), `out` is borrowed exclusively,
    // and T is f32 or f64, both of which gemm multiplies.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            out_strides.1,
            out_strides.0,
            false,
            a.as_ptr(),
            a_strides.1,
            a_strides.0,
            b.as_ptr(),
            b_strides.1,
            b_strides.0,
            T::zero(),
            T::one(),
            false,
            false,
            false,
            parallelism,
        );
    }
}
