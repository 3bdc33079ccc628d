//! Products on the CPU, in the manner of Goto and van de Geijn (2008) and BLIS (Van Zee and van de Geijn, 2015).
//!
//! Threads first lay `b` out in panels ([`pack_b`]), all of it, and then take parts of the product. A part goes through its
//! terms in blocks: those of its panels stay in the second-level cache while it lays `a` out in slivers ([`pack_a`]) of a few
//! rows each, one of which stays in the first; a tile of the result is a sliver times a panel ([`micro_kernel`]). A *finish* changes
//! a few rows once they are complete, while they lie in the cache.
//!
//! A sum is that of its blocks' sums in their order, each a chain of multiply-adds in the order of the terms. It depends on
//! the number of terms alone: not on threads, cuts, caches or how wide the vectors are, so that all CPUs with fused
//! multiply-adds give the same bits. What a finish adds up across columns it adds up within [`PIECE`]s, which no cut divides.
//!
//! The `gemm` crate, which was here before, cuts its sums by the caches it finds, and leaves out no term that is zero. On
//! dense factors it takes about a quarter longer (`cargo bench --bench kernels -- product` compares them).

mod micro_kernel;
mod nonzero;
mod pack_a;
mod pack_b;
mod transpose;

use std::array::from_mut;
use std::cell::{Cell, RefCell};

use pulp::{Simd, WithSimd};

use crate::compute::parallel::{from_front, join};
use crate::compute::simd::{Lanes, dispatch};
use crate::unchecked::{Window, prefetch};
use micro_kernel::{Extent, OF_LINES, OF_PAIRS, Row, tiles};
use pack_a::{AT_ONCE, Laid, lay_out};
use pack_b::{Panels, Shelf};

/// Products of fewer multiplications stay on one thread: handing one over, twice, costs a microsecond or two.
const WORTH_SHARING: usize = 100_000;
/// Parts are cut in halves until they have fewer than twice these rows
const TALL: usize = 256;
/// and these columns, so that a block of their panels fits the second-level cache; and on, until there is one for each thread.
const WIDE: usize = 384;
/// Columns are cut where there are so many times as many as rows, rows elsewhere.
const MUCH_WIDER: usize = 5;
/// Terms of a block, at most.
const BLOCK: usize = 256;
/// Columns of a row that are finished together, at most; parts begin at multiples of it, and of tiles' rows.
const PIECE: usize = 64;

/// Columns of the product for each of which together a second result has one element.
pub(crate) const FOUR: usize = 4;

/// A matrix that is read: its elements, and its strides `(row, col)` in elements, one of which is 1.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    pub(crate) values: &'a [T],
    pub(crate) strides: (usize, usize),
}

impl<'a, T> Matrix<'a, T> {
    /// Rows of `cols` elements, one after another.
    pub(crate) fn rows(values: &'a [T], cols: usize) -> Matrix<'a, T> {
        Matrix { values, strides: (cols, 1) }
    }

    /// The transpose of rows of `cols` elements.
    pub(crate) fn transposed(values: &'a [T], cols: usize) -> Matrix<'a, T> {
        Matrix { values, strides: (1, cols) }
    }

    /// The same from this row and column on.
    fn from(self, row: usize, col: usize) -> Matrix<'a, T> {
        Matrix { values: &self.values[row * self.strides.0 + col * self.strides.1..], ..self }
    }

    /// Tells the CPU to fetch the cache line of an element, which need not be there.
    #[inline(always)]
    fn prefetch(self, row: usize, col: usize) {
        prefetch(self.values, row * self.strides.0 + col * self.strides.1);
    }

    fn holds(&self, rows: usize, cols: usize) -> bool {
        (rows - 1) * self.strides.0 + (cols - 1) * self.strides.1 < self.values.len()
    }
}

/// `out [m, n] = a [m, k] b [k, n]`.
pub(crate) fn multiply<T: Lanes>(sizes: [usize; 3], out: &mut [T], a: Matrix<'_, T>, b: Matrix<'_, T>) {
    multiply_then(sizes, out, a, b, |_, _, _| {});
}

/// `out [m, n] = a [m, k] b [k, n]` for `sizes` `[m, n, k]`, and then `finish(row, col, values)` on [`PIECE`]s of its rows:
/// `values` are those from `(row, col)` on.
pub(crate) fn multiply_then<T: Lanes>(
    sizes: [usize; 3],
    out: &mut [T],
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    finish: impl Fn(usize, usize, &mut [T]) + Sync,
) {
    multiply_beside(
        sizes,
        out,
        &mut [],
        a,
        b,
        #[inline(always)]
        |row, col, values, _| finish(row, col, values),
    );
}

/// [`multiply_then`] with a second result `beside [m, ceil(n / 4)]`, an element for [`FOUR`] columns, or empty: `finish` is also
/// given those elements of it that stand beside its piece, to be written.
pub(crate) fn multiply_beside<T: Lanes>(
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
    thread_local! {
        static SHELF: Cell<Shelf> = Cell::default();
    }
    let shared = m * n * k >= WORTH_SHARING;
    // Taken away while it is used: a thread that waits for others may begin another product.
    let mut shelf = SHELF.take();
    let b = Panels::of(b, k, n, &mut shelf, shared);
    let whole = Part { at: (0, 0), out: Window::new(out, n), beside, a, b, finish: &finish };
    match shared {
        true => whole.share(rayon::current_num_threads()),
        false => whole.run(),
    }
    SHELF.set(shelf);
}

/// A part of a product.
struct Part<'a, T, F> {
    /// Its first row and column.
    at: (usize, usize),
    out: Window<'a, T>,
    /// Its part of the second result, if there is one.
    beside: Option<Window<'a, T>>,
    /// The whole factors.
    a: Matrix<'a, T>,
    b: Panels<'a, T>,
    finish: &'a F,
}

impl<T: Lanes, F: Fn(usize, usize, &mut [T], &mut [T]) + Sync> Part<'_, T, F> {
    /// Cuts a part that is too large, or is to be so many, in two, and runs both on all threads, the half at [its
    /// end](from_front) on this one. Rows are cut before columns: halves side by side would both lay out the same slivers.
    fn share(self, parts: usize) {
        let (m, n) = (self.out.rows, self.out.cols);
        let (by_rows, by_columns) = (m >= 4 * self.b.tiles.rows, n >= 2 * PIECE);
        let wanted = parts > 1 || m >= 2 * TALL || n >= 2 * WIDE;
        if !wanted || !(by_rows || by_columns) {
            return self.run();
        }
        let (left, right) = self.cut(by_columns && (n >= MUCH_WIDER * m || !by_rows));
        let (here, there) = if from_front() { (left, right) } else { (right, left) };
        join(move || here.share(parts.div_ceil(2)), move || there.share(parts.div_ceil(2)));
    }

    fn cut(self, by_columns: bool) -> (Self, Self) {
        let Part { at: (row, col), out, beside, a, b, finish } = self;
        let (length, edge) = if by_columns { (out.cols, PIECE) } else { (out.rows, b.tiles.rows) };
        let half = (length + edge) / (2 * edge) * edge; // the nearest to its middle
        let ((out, other), besides, at) = match by_columns {
            // A piece is a multiple of FOUR.
            true => {
                (out.split_columns(half), beside.map(|beside| beside.split_columns(half / FOUR)), (row, col + half))
            }
            false => (out.split_rows(half), beside.map(|beside| beside.split_rows(half)), (row + half, col)),
        };
        let (beside, other_beside) = besides.unzip();
        let other = Part { at, out: other, beside: other_beside, a, b, finish };
        (Part { at: (row, col), out, beside, a, b, finish }, other)
    }

    fn run(self) {
        thread_local! {
            static SCRATCH: RefCell<[Laid; AT_ONCE]> = const { RefCell::new([Laid::NONE; AT_ONCE]) };
        }
        SCRATCH.with_borrow_mut(|scratch| dispatch(Run { part: self, scratch }));
    }
}

/// A part to be computed by the vector units at hand.
struct Run<'s, 'a, T, F> {
    part: Part<'a, T, F>,
    scratch: &'s mut [Laid; AT_ONCE],
}

impl<T: Lanes, F: Fn(usize, usize, &mut [T], &mut [T]) + Sync> WithSimd for Run<'_, '_, T, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Extent { rows, vectors, .. } = Extent::of::<T, S>();
        match [rows, vectors] {
            OF_LINES => self.multiply::<S, { OF_LINES[0] }, { OF_LINES[1] }>(simd),
            OF_PAIRS => self.multiply::<S, { OF_PAIRS[0] }, { OF_PAIRS[1] }>(simd),
            other => unreachable!("no tile has {other:?} rows and vectors"),
        }
    }
}

impl<T: Lanes, F: Fn(usize, usize, &mut [T], &mut [T]) + Sync> Run<'_, '_, T, F> {
    /// In tiles of `R` rows and `L` vectors.
    #[inline(always)]
    fn multiply<S: Simd, const R: usize, const L: usize>(self, simd: S) {
        let Run { part: Part { at: (row, col), mut out, mut beside, a, b, finish }, scratch } = self;
        let (m, blocks) = (out.rows, b.blocks().count());
        for (at, terms) in b.blocks().enumerate() {
            let mut block = Block { simd, at, terms: terms.len(), col, b, out: &mut out };
            let mut done = 0;
            while done < m {
                let a = a.from(row + done, terms.start);
                let rows = match m - done {
                    left if left >= AT_ONCE * R && a.strides.1 != 1 => block.multiply::<R, L, _>(a, done, scratch),
                    left if left >= R => block.multiply::<R, L, 1>(a, done, from_mut(&mut scratch[0])),
                    4.. => block.multiply::<4, L, 1>(a, done, from_mut(&mut scratch[0])),
                    2.. => block.multiply::<2, L, 1>(a, done, from_mut(&mut scratch[0])),
                    _ => block.multiply::<1, L, 1>(a, done, from_mut(&mut scratch[0])),
                };
                if at + 1 == blocks {
                    for r in done..done + rows {
                        let mut beside = beside.as_mut().map(|beside| beside.row(r).chunks_mut(PIECE / FOUR));
                        for (at, piece) in block.out.row(r).chunks_mut(PIECE).enumerate() {
                            let beside = beside.as_mut().and_then(Iterator::next).unwrap_or_default();
                            finish(row + r, col + at * PIECE, piece, beside);
                        }
                    }
                }
                done += rows;
            }
        }
    }
}

/// Some terms of a part.
struct Block<'b, 'a, S, T> {
    simd: S,
    /// Which block of terms it is, and how many they are.
    at: usize,
    terms: usize,
    /// The part's first column.
    col: usize,
    b: Panels<'b, T>,
    out: &'b mut Window<'a, T>,
}

impl<S: Simd, T: Lanes> Block<'_, '_, S, T> {
    /// `N` times `R` rows of the result from this one on, for `a` from that row on; how many they are.
    #[inline(always)]
    fn multiply<const R: usize, const L: usize, const N: usize>(
        &mut self,
        a: Matrix<'_, T>,
        row: usize,
        slivers: &mut [Laid; N],
    ) -> usize {
        let Block { simd, at, terms, col, b, .. } = *self;
        lay_out::<T, S, R, N>(simd, a, terms, slivers);
        for (sliver, row) in slivers.iter_mut().zip((row..).step_by(R)) {
            let (a, of_sliver) = sliver.sliver(terms);
            let out = &mut *self.out;
            tiles::<T, S, R, L>(simd, a, Row { panels: b, block: at, terms, of_sliver, out, row, col, add: at > 0 });
        }
        N * R
    }
}

#[cfg(test)]
mod tests;
