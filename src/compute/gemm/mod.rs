//! Packed GEMM on the CPU, after Goto and van de Geijn (2008) and BLIS (Van Zee and van de Geijn, 2015).
//!
//! Threads first pack all of B into micro-panels ([`pack_b`]), then take blocks of C. A block goes through k in steps of KC:
//! its packed B stays in the second-level cache. A micro-tile of C is a micro-panel of A, MR rows, times one of B, or two
//! ([`micro_kernel`]); rows of A are read where they lie, unless they are stored by columns or hold many zeros ([`pack_a`]). The
//! patches of a convolution are runs of its images' memory ([`Runs`]), or computed as they are packed ([`Computed`]). An *epilogue*
//! changes a few rows once they are complete, while they lie in the cache.
//!
//! An element of C is the sum of its k-blocks' sums in order, each a chain of multiply-adds in the order of k. It depends on
//! k alone: not on threads, blocking, caches or vector width, so that all CPUs with fused multiply-adds give the same bits.
//! An epilogue sums across columns within [`EPILOGUE_COLS`] only, which no split divides.
//!
//! The `gemm` crate, which was here before, splits its sums by the caches it finds, and skips no zeros. On dense operands it
//! took about a quarter longer when A was still packed (`cargo bench --bench kernels -- product` compares them).

mod micro_kernel;
mod nonzero;
mod operand;
mod pack_a;
mod pack_b;
mod transpose;

use std::array::from_mut;
use std::cell::{Cell, RefCell};

use pulp::{Simd, WithSimd};

use crate::compute::parallel::{join, takes_from_front};
use crate::compute::simd::{Lanes, dispatch};
use crate::compute::{parallel_for, parallel_rows, scratch};
use crate::unchecked::{RowStrides, Window};
use operand::RunPanel;
pub(crate) use operand::{Computed, Matrix, Operand, Runs};

use micro_kernel::{MicroTile, TILE_1_VECTOR, TILE_2_VECTORS, TileRow, tile_row};
use pack_a::{MicroPanel, PANELS_AT_ONCE, PackedA, pack_columns, panel_of_rows};
use pack_b::{PackBuffer, PackedB};

/// Least `m n k` that is computed in parallel: handing work over, twice, costs a microsecond or two.
const PARALLEL_MIN: usize = 100_000;
/// Rows of a block of C: blocks are halved until they have fewer than twice as many.
const MC: usize = 256;
/// Columns of a block of C, halved likewise, so that its packed B of one k-block fits the second-level cache.
const NC: usize = 384;
/// Ratio of columns to rows from which a block is split by columns instead of rows.
const SPLIT_COLS_RATIO: usize = 5;
/// Largest k of a k-block.
const KC: usize = 256;
/// Most columns of a row in one call of the epilogue; blocks of C begin at multiples of it, and of MR.
const EPILOGUE_COLS: usize = 64;

/// Least k of a part of [`gemm_long_k`], so that adding the parts is little work beside computing them.
const PART_MIN_K: usize = 4 * KC;
/// Most elements of all parts of [`gemm_long_k`].
const PARTS_MAX_ELEMENTS: usize = 1 << 22;

/// Columns of C for which a secondary output has one element.
pub(crate) const COLS_PER_SECONDARY: usize = 4;

/// `out [m, n] = a [m, k] b [k, n]`.
pub(crate) fn gemm<'a, T: Lanes>(
    sizes: [usize; 3],
    out: &mut [T],
    a: impl Into<Operand<'a, T>>,
    b: impl Into<Operand<'a, T>>,
) {
    gemm_with_epilogue(sizes, out, a, b, |_, _, _| {});
}

/// [`gemm`] for `sizes` `[m, n, k]`, then `epilogue(row, col, values)` on up to [`EPILOGUE_COLS`] columns of a row at a time:
/// `values` are those from `(row, col)` on.
pub(crate) fn gemm_with_epilogue<'a, T: Lanes>(
    sizes: [usize; 3],
    out: &mut [T],
    a: impl Into<Operand<'a, T>>,
    b: impl Into<Operand<'a, T>>,
    epilogue: impl Fn(usize, usize, &mut [T]) + Sync,
) {
    gemm_with_secondary(
        sizes,
        out,
        &mut [],
        a,
        b,
        #[inline(always)]
        |row, col, values, _| epilogue(row, col, values),
    );
}

/// Where a row of C is.
#[derive(Clone, Copy)]
struct Place {
    row: usize,
    /// Elements between row 0 and this one in memory.
    offset: usize,
}

/// [`gemm_with_epilogue`] with a secondary output `[m, ceil(n / 4)]`, an element per [`COLS_PER_SECONDARY`] columns, or empty:
/// `epilogue` also writes the elements of it that belong to its columns.
pub(crate) fn gemm_with_secondary<'a, T: Lanes>(
    [m, n, k]: [usize; 3],
    out: &mut [T],
    secondary: &mut [T],
    a: impl Into<Operand<'a, T>>,
    b: impl Into<Operand<'a, T>>,
    epilogue: impl Fn(usize, usize, &mut [T], &mut [T]) + Sync,
) {
    assert!(out.len() == m * n, "gemm's result has another size");
    assert!(
        secondary.is_empty() || secondary.len() == m * n.div_ceil(COLS_PER_SECONDARY),
        "a secondary output has another size"
    );
    let secondary = (!secondary.is_empty()).then(|| Window::new(secondary, n.div_ceil(COLS_PER_SECONDARY)));
    run(
        k,
        Window::new(out, n),
        secondary,
        a.into(),
        b.into(),
        Mode::of([m, n, k]),
        #[inline(always)]
        |place: Place, col, values, secondary| epilogue(place.row, col, values, secondary),
    );
}

/// [`gemm`] whose rows lie apart in memory, and then `epilogue(at, col, values)` on up to [`EPILOGUE_COLS`] columns of a row at a time:
/// `values` are those from element `at` of `out`, of column `col`, on.
pub(crate) fn gemm_spread<'a, T: Lanes>(
    [m, n, k]: [usize; 3],
    (out, strides): (&mut [T], RowStrides),
    a: impl Into<Operand<'a, T>>,
    b: impl Into<Operand<'a, T>>,
    epilogue: impl Fn(usize, usize, &mut [T]) + Sync,
) {
    let out = Window::spread(out, m, n, strides);
    run(
        k,
        out,
        None,
        a.into(),
        b.into(),
        Mode::of([m, n, k]),
        #[inline(always)]
        |place: Place, col, values, _| epilogue(place.offset + col, col, values),
    );
}

/// [`gemm`] of a long k and a small result: threads take parts of k, each a GEMM of its own, whose results are added in their
/// order. The parts follow from the sizes alone.
pub(crate) fn gemm_long_k<'a, T: Lanes>(
    [m, n, k]: [usize; 3],
    out: &mut [T],
    a: impl Into<Operand<'a, T>>,
    b: impl Into<Operand<'a, T>>,
) {
    assert!(out.len() == m * n, "gemm's result has another size");
    let (a, b) = (a.into(), b.into());
    let parts = (k / PART_MIN_K).min(PARTS_MAX_ELEMENTS / (m * n));
    if parts < 2 {
        return gemm([m, n, k], out, a, b);
    }
    let part_k = k.div_ceil(parts).next_multiple_of(KC);
    scratch(k.div_ceil(part_k) * m * n, |partial| {
        parallel_for(partial.chunks_mut(m * n).enumerate(), |(part, sums)| {
            let from = part * part_k;
            let end = k.min(from + part_k);
            // A k-block at a time: its packed B stays in the cache.
            for at in (from..end).step_by(KC) {
                let (a, b, out) = (a.from(0, at), b.from(at, 0), Window::new(&mut *sums, n));
                run(
                    KC.min(end - at),
                    out,
                    None,
                    a,
                    b,
                    Mode { parallel: false, accumulate: at > from },
                    |_, _, _, _| {},
                );
            }
        });
        parallel_rows(
            out,
            n,
            #[inline(always)]
            |row, out| {
                let mut parts = partial.chunks(m * n).map(|sums| &sums[row * n..][..n]);
                out.copy_from_slice(parts.next().expect("there are parts"));
                for part in parts {
                    for (out, &part) in out.iter_mut().zip(part) {
                        *out = *out + part;
                    }
                }
            },
        );
    });
}

/// How C is computed.
#[derive(Clone, Copy)]
struct Mode {
    /// On several threads.
    parallel: bool,
    /// Added to what C holds.
    accumulate: bool,
}

impl Mode {
    /// Of a product of its own.
    fn of([m, n, k]: [usize; 3]) -> Mode {
        Mode { parallel: m * n * k >= PARALLEL_MIN, accumulate: false }
    }
}

/// Packs B and computes all of C.
fn run<T: Lanes>(
    k: usize,
    out: Window<'_, T>,
    secondary: Option<Window<'_, T>>,
    a: Operand<'_, T>,
    b: Operand<'_, T>,
    mode: Mode,
    epilogue: impl Fn(Place, usize, &mut [T], &mut [T]) + Sync,
) {
    thread_local! {
        static PACKED: Cell<PackBuffer> = Cell::default();
    }
    let n = out.cols;
    assert!(a.holds(out.rows, k) && b.holds(k, n), "gemm reaches past its operands");
    // Taken out while in use: a thread that waits for others may begin another GEMM.
    let mut buffer = PACKED.take();
    let b = PackedB::pack(b, k, n, &mut buffer, mode.parallel);
    let whole = Block { at: (0, 0), out, secondary, a, b, accumulate: mode.accumulate, epilogue: &epilogue };
    match mode.parallel {
        true => whole.run_parallel(rayon::current_num_threads()),
        false => whole.run(),
    }
    PACKED.set(buffer);
}

/// A block of C.
struct Block<'a, T, F> {
    /// Its first row and column.
    at: (usize, usize),
    out: Window<'a, T>,
    /// The same block of the secondary output, if there is one.
    secondary: Option<Window<'a, T>>,
    /// The whole operands.
    a: Operand<'a, T>,
    b: PackedB<'a, T>,
    /// Whether the first k-block is added to what `out` holds.
    accumulate: bool,
    epilogue: &'a F,
}

impl<T: Lanes, F: Fn(Place, usize, &mut [T], &mut [T]) + Sync> Block<'_, T, F> {
    /// Halves a block that is too large, or is to give several `tasks`, and runs both halves in parallel, the one at [its
    /// end](takes_from_front) on this thread. Rows are split before columns: halves side by side would both pack the same A.
    fn run_parallel(self, tasks: usize) {
        let (m, n) = (self.out.rows, self.out.cols);
        let (by_rows, by_columns) = (m >= 4 * self.b.tile.rows, n >= 2 * EPILOGUE_COLS);
        let wanted = tasks > 1 || m >= 2 * MC || n >= 2 * NC;
        if !wanted || !(by_rows || by_columns) {
            return self.run();
        }
        let (left, right) = self.split(by_columns && (n >= SPLIT_COLS_RATIO * m || !by_rows));
        let (here, there) = if takes_from_front() { (left, right) } else { (right, left) };
        join(move || here.run_parallel(tasks.div_ceil(2)), move || there.run_parallel(tasks.div_ceil(2)));
    }

    /// Two halves, by columns or by rows.
    fn split(self, by_columns: bool) -> (Self, Self) {
        let Block { at: (row, col), out, secondary, a, b, accumulate, epilogue } = self;
        let (length, edge) = if by_columns { (out.cols, EPILOGUE_COLS) } else { (out.rows, b.tile.rows) };
        let half = (length + edge) / (2 * edge) * edge; // the nearest to its middle
        let ((out, other), secondaries, at) = match by_columns {
            // A multiple of COLS_PER_SECONDARY.
            true => (
                out.split_columns(half),
                secondary.map(|secondary| secondary.split_columns(half / COLS_PER_SECONDARY)),
                (row, col + half),
            ),
            false => (out.split_rows(half), secondary.map(|secondary| secondary.split_rows(half)), (row + half, col)),
        };
        let (secondary, other_secondary) = secondaries.unzip();
        let other = Block { at, out: other, secondary: other_secondary, a, b, accumulate, epilogue };
        (Block { at: (row, col), out, secondary, a, b, accumulate, epilogue }, other)
    }

    fn run(self) {
        thread_local! {
            static SCRATCH: RefCell<[PackedA; PANELS_AT_ONCE]> = const { RefCell::new([PackedA::EMPTY; PANELS_AT_ONCE]) };
        }
        SCRATCH.with_borrow_mut(|scratch| dispatch(RunBlock { block: self, scratch }));
    }
}

/// A block of C to be computed with the vector instructions at hand.
struct RunBlock<'s, 'a, T, F> {
    block: Block<'a, T, F>,
    scratch: &'s mut [PackedA; PANELS_AT_ONCE],
}

impl<T: Lanes, F: Fn(Place, usize, &mut [T], &mut [T]) + Sync> WithSimd for RunBlock<'_, '_, T, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let MicroTile { rows, vectors, .. } = MicroTile::of::<T, S>();
        match [rows, vectors] {
            TILE_1_VECTOR => self.multiply::<S, { TILE_1_VECTOR[0] }, { TILE_1_VECTOR[1] }>(simd),
            TILE_2_VECTORS => self.multiply::<S, { TILE_2_VECTORS[0] }, { TILE_2_VECTORS[1] }>(simd),
            other => unreachable!("no micro-tile has {other:?} rows and vectors"),
        }
    }
}

impl<T: Lanes, F: Fn(Place, usize, &mut [T], &mut [T]) + Sync> RunBlock<'_, '_, T, F> {
    /// In micro-tiles of `MR` rows and `NV` vectors.
    #[inline(always)]
    fn multiply<S: Simd, const MR: usize, const NV: usize>(self, simd: S) {
        let RunBlock { block: Block { at: (row, col), mut out, mut secondary, a, b, accumulate, epilogue }, scratch } =
            self;
        let (m, k_blocks) = (out.rows, b.k_blocks().count());
        let mut runs = RunPanel::empty();
        for (at, ks) in b.k_blocks().enumerate() {
            let mut k_block = KBlock { simd, at, k: ks.len(), col, b, out: &mut out, accumulate: accumulate || at > 0 };
            let mut done = 0;
            while done < m {
                let a = a.from(row + done, ks.start);
                let one = from_mut(&mut scratch[0]);
                let rows = match m - done {
                    left if left >= PANELS_AT_ONCE * MR && a.is_transposed() => {
                        k_block.multiply::<MR, NV, _>(a, done, scratch, &mut runs)
                    }
                    left if left >= MR => k_block.multiply::<MR, NV, 1>(a, done, one, &mut runs),
                    4.. => k_block.multiply::<4, NV, 1>(a, done, one, &mut RunPanel::empty()),
                    2.. => k_block.multiply::<2, NV, 1>(a, done, one, &mut RunPanel::empty()),
                    _ => k_block.multiply::<1, NV, 1>(a, done, one, &mut RunPanel::empty()),
                };
                if at + 1 == k_blocks {
                    let mut r = done;
                    k_block.out.each_row(
                        done,
                        rows,
                        #[inline(always)]
                        |offset, values| {
                            let place = Place { row: row + r, offset };
                            let mut secondary = secondary.as_mut().map(|secondary| {
                                let [row] = secondary.corner(r, 0);
                                row.chunks_mut(EPILOGUE_COLS / COLS_PER_SECONDARY)
                            });
                            for (at, piece) in values.chunks_mut(EPILOGUE_COLS).enumerate() {
                                let secondary = secondary.as_mut().and_then(Iterator::next).unwrap_or_default();
                                epilogue(place, col + at * EPILOGUE_COLS, piece, secondary);
                            }
                            r += 1;
                        },
                    );
                }
                done += rows;
            }
        }
    }
}

/// One k-block of a block of C.
struct KBlock<'b, 'a, S, T> {
    simd: S,
    /// Index of the k-block, and its k.
    at: usize,
    k: usize,
    /// First column of the block of C.
    col: usize,
    b: PackedB<'b, T>,
    out: &'b mut Window<'a, T>,
    accumulate: bool,
}

impl<S: Simd, T: Lanes> KBlock<'_, '_, S, T> {
    /// Computes `N` times `MR` rows of C from `row` on, for `a` from that row on; returns how many rows.
    #[inline(always)]
    fn multiply<'r, const MR: usize, const NV: usize, const N: usize>(
        &mut self,
        a: Operand<'r, T>,
        row: usize,
        panels: &mut [PackedA; N],
        runs: &mut RunPanel<'r, T, MR>,
    ) -> usize {
        let KBlock { simd, at, k, col, b, accumulate, .. } = *self;
        let mut multiply = |a: MicroPanel<'_, T, MR>, row: usize| {
            let out = &mut *self.out;
            tile_row::<T, S, MR, NV>(simd, a, TileRow { b, k_block: at, k, out, row, col, accumulate });
        };
        if let (Operand::Dense(a), true) = (a, a.is_transposed()) {
            pack_columns::<T, S, MR, N>(simd, a, k, panels);
            for (panel, row) in panels.iter_mut().zip((row..).step_by(MR)) {
                multiply(panel.k_major(k), row);
            }
            return N * MR;
        }
        multiply(panel_of_rows::<T, S, MR>(simd, a, k, &mut panels[0], runs), row);
        MR
    }
}

#[cfg(test)]
mod tests;
