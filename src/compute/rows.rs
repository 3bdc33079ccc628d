//! Parallel loops over rows, and sums in a fixed order: results depend on no thread count.

use super::{Lanes, parallel_for, vectorised};
use crate::tensor::Shape;

/// Elements per task of a loop with little work per element; fewer are not worth handing to another thread.
const GRAIN: usize = 2048;
/// Elements per task of a loop with dozens of instructions per element, such as a normal draw.
const HEAVY_GRAIN: usize = 256;

/// Parallel rows: `f(row, out_row)` on each row of `out`, `cols` columns wide; on one thread where there is little work.
pub(crate) fn parallel_rows<T: Send>(out: &mut [T], cols: usize, f: impl Fn(usize, &mut [T]) + Sync + Send) {
    parallel_rows_by(GRAIN, out, cols, f);
}

/// [`parallel_rows`] where each element is much work.
pub(crate) fn parallel_heavy_rows<T: Send>(out: &mut [T], cols: usize, f: impl Fn(usize, &mut [T]) + Sync + Send) {
    parallel_rows_by(HEAVY_GRAIN, out, cols, f);
}

fn parallel_rows_by<T: Send>(grain: usize, out: &mut [T], cols: usize, f: impl Fn(usize, &mut [T]) + Sync + Send) {
    let alone = out.len() < 2 * grain;
    let rows_a_task = if alone { out.len() } else { grain }.div_ceil(cols.max(1));
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
    match alone {
        true => task((0, out)),
        false => parallel_for(out.chunks_mut(cols * rows_a_task).enumerate(), task),
    }
}

/// Parallel row sums: `out[r] = f(r)`, where `f` sums over a row of `shape`; tasks are sized by elements, not by rows.
pub(crate) fn parallel_row_sums<T: Lanes>(out: &mut [T], shape: Shape, f: impl Fn(usize) -> T + Sync + Send) {
    let rows_a_task = 8192_usize.div_ceil(shape.cols());
    parallel_for(out.chunks_mut(rows_a_task).enumerate(), |(task, sums)| {
        vectorised(
            #[inline(always)]
            || {
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = f(task * rows_a_task + i);
                }
            },
        );
    });
}

/// `sum_i f(x_i, y_i)` over two rows of one length, in the order of [`lane_sum`].
#[inline(always)]
pub(crate) fn lane_sum_pairs<T: Lanes>(x: &[T], y: &[T], f: impl Fn(T, T) -> T) -> T {
    let mut lanes = [T::zero(); 8];
    let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<8>(), y.as_chunks::<8>());
    for (x, y) in xs.iter().zip(ys) {
        for lane in 0..8 {
            lanes[lane] = lanes[lane] + f(x[lane], y[lane]);
        }
    }
    if !x_rest.is_empty() {
        // As eight more, of which those that are there count, so that it vectorises too.
        let (mut x, mut y) = ([T::zero(); 8], [T::zero(); 8]);
        x[..x_rest.len()].copy_from_slice(x_rest);
        y[..y_rest.len()].copy_from_slice(y_rest);
        let mut terms = [T::zero(); 8];
        for lane in 0..8 {
            terms[lane] = f(x[lane], y[lane]);
        }
        for (sum, term) in lanes.iter_mut().zip(terms).take(x_rest.len()) {
            *sum = *sum + term;
        }
    }
    tree(lanes)
}

/// `N` sums of products of one row with others, in eight lanes each, over rows one after another.
#[derive(Clone, Copy)]
pub(crate) struct Dots<T, const N: usize>([[T; 8]; N]);

impl<T: Lanes, const N: usize> Dots<T, N> {
    #[inline(always)]
    pub(crate) fn zero() -> Dots<T, N> {
        Dots([[T::zero(); 8]; N])
    }

    /// Adds `x_i y_ni` to lane `i % 8` of the n-th sum, for rows of one length.
    #[inline(always)]
    pub(crate) fn add(&mut self, x: &[T], y: [&[T]; N]) {
        let (x_chunks, x_rest) = x.as_chunks::<8>();
        let mut chunks = [&[] as &[[T; 8]]; N];
        for (chunks, y) in chunks.iter_mut().zip(y) {
            *chunks = &y.as_chunks().0[..x_chunks.len()];
        }
        let mut sums = self.0;
        for (at, x) in x_chunks.iter().enumerate() {
            for (sum, y) in sums.iter_mut().zip(chunks) {
                for lane in 0..8 {
                    sum[lane] = sum[lane] + x[lane] * y[at][lane];
                }
            }
        }
        self.0 = sums;
        if !x_rest.is_empty() {
            for (sum, y) in self.0.iter_mut().zip(y) {
                add_rest(sum, x_rest, &y[x.len() - x_rest.len()..]);
            }
        }
    }

    /// The sums, in the tree of [`lane_sum`].
    #[inline(always)]
    pub(crate) fn totals(self) -> [T; N] {
        // A black box: the compiler would keep lanes apart instead of in vectors.
        std::hint::black_box(self.0).map(tree)
    }
}

/// [`Dots::add`] of less than eight; not inlined, for the same reason.
#[inline(never)]
fn add_rest<T: Lanes>(lanes: &mut [T; 8], x: &[T], y: &[T]) {
    for (lane, (&x, &y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
        *lane = *lane + x * y;
    }
}

/// `sum_i s_i` where `(s_i, y_i) = f(y_i, x_i)`, in the order of [`lane_sum`]: what is summed, and what y becomes.
#[inline(always)]
pub(crate) fn lane_sum_map<T: Lanes>(y: &mut [T], x: &[T], f: impl Fn(T, T) -> (T, T)) -> T {
    const BLOCK: usize = 64;
    let mut lanes = [T::zero(); 8];
    for (y, x) in y.chunks_mut(BLOCK).zip(x.chunks(BLOCK)) {
        // First one plain loop, which vectorises, then the sum.
        let mut terms = [T::zero(); BLOCK];
        for ((term, y), &x) in terms.iter_mut().zip(y.iter_mut()).zip(x) {
            (*term, *y) = f(*y, x);
        }
        for terms in terms.as_chunks::<8>().0 {
            for lane in 0..8 {
                lanes[lane] = lanes[lane] + terms[lane];
            }
        }
    }
    tree(lanes)
}

/// `sum_i f(i)` for `i < n`, in eight interleaved lanes and then a fixed tree: quick, accurate, the same everywhere.
#[inline(always)]
pub(crate) fn lane_sum<T: Lanes>(n: usize, f: impl Fn(usize) -> T) -> T {
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
    tree(lanes)
}

/// The sum of eight lanes, always in the same tree.
#[inline(always)]
fn tree<T: Lanes>([a, b, c, d, e, f, g, h]: [T; 8]) -> T {
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}
