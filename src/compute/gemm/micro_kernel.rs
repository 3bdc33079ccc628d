//! The micro-kernel: a micro-tile of C, MR rows by NR columns, accumulated in vector registers.
//!
//! The accumulators must be enough to hide the latency of a multiply-add: eight, with two units of four cycles. More rows, or
//! more columns than a cache line holds, find fewer k to skip ([`super::nonzero`]); fewer rows take more loads. So with AVX-512
//! MR x NR is 8 rows of one vector, elsewhere 6 of two: with two vectors of B and one of A, 12 accumulators are the most that
//! the 16 registers of AVX2 hold. Where no k is skipped AVX-512 takes two micro-panels of B at once, 16 of its 32 registers: CPUs that
//! load two values a cycle are then no longer held up by loads.

use pulp::{NullaryFnOnce, Simd};

use super::nonzero::NonZeroK;
use super::operand::RunPanel;
use super::pack_a::{KMajor, MicroPanel};
use super::pack_b::PackedB;
use crate::compute::aligned::CACHE_LINE;
use crate::compute::simd::Lanes;
use crate::unchecked::Window;

/// MR, and vectors per row, with vectors of a whole cache line.
pub(super) const TILE_1_VECTOR: [usize; 2] = [8, 1];
/// MR, and vectors per row, with shorter vectors.
pub(super) const TILE_2_VECTORS: [usize; 2] = [6, 2];

/// Size of a full micro-tile.
#[derive(Clone, Copy, Debug)]
pub(super) struct MicroTile {
    /// MR.
    pub(super) rows: usize,
    /// Vectors per row.
    pub(super) vectors: usize,
    /// Numbers per vector.
    pub(super) lanes: usize,
}

impl MicroTile {
    /// The micro-tile for vectors `S` of `T`.
    #[inline(always)]
    pub(super) fn of<T: Lanes, S: Simd>() -> MicroTile {
        let lanes = T::count::<S>();
        let [rows, vectors] = if lanes * size_of::<T>() == CACHE_LINE { TILE_1_VECTOR } else { TILE_2_VECTORS };
        MicroTile { rows, vectors, lanes }
    }

    /// NR: columns of the micro-tile.
    #[inline(always)]
    pub(super) fn nr(self) -> usize {
        self.vectors * self.lanes
    }
}

/// A row of micro-tiles: what a micro-panel of A is multiplied by, and where the sums go.
pub(super) struct TileRow<'p, 'w, 'a, T> {
    pub(super) b: PackedB<'p, T>,
    /// Index of the k-block, and its k.
    pub(super) k_block: usize,
    pub(super) k: usize,
    pub(super) out: &'w mut Window<'a, T>,
    /// First row in `out`, and the column of B that is the first of `out`.
    pub(super) row: usize,
    pub(super) col: usize,
    /// Add to what `out` holds, instead of overwriting it.
    pub(super) accumulate: bool,
}

/// Multiplies a micro-panel of A by all micro-panels of its block of C, in micro-tiles of `MR` rows and `NV` vectors.
#[inline(always)]
pub(super) fn tile_row<T: Lanes, S: Simd, const MR: usize, const NV: usize>(
    simd: S,
    a: MicroPanel<'_, T, MR>,
    row: TileRow<'_, '_, '_, T>,
) {
    match a {
        MicroPanel::Runs(a) => multiply(&mut MicroKernel::<_, T, S, MR, NV> { simd, a, row }),
        MicroPanel::KMajor(a) => multiply(&mut MicroKernel::<_, T, S, MR, NV> { simd, a: &a, row }),
    }
}

/// A micro-panel of A and the row of micro-tiles to compute from it.
struct MicroKernel<'t, 'p, 'w, 'a, A, T: Lanes, S: Simd, const MR: usize, const NV: usize> {
    simd: S,
    a: &'t A,
    row: TileRow<'p, 'w, 'a, T>,
}

/// The vectors of a micro-panel of B, and its non-zero k.
type PanelOfB<'p, T, S> = (&'p [<T as Lanes>::Vector<S>], &'p NonZeroK);

/// Layout of a micro-panel of A, see [`MicroPanel`], which decides how the loop over k runs.
trait Layout<T: Lanes, S: Simd, const MR: usize, const NV: usize> {
    fn sums(&self, simd: S, nonzero_b: &NonZeroK, panel: &[[T::Vector<S>; NV]]) -> [[T::Vector<S>; NV]; MR];

    /// Those of two micro-panels of B, of one vector a row each, where every k is multiplied: elements of A are loaded once for both.
    fn sums_of_pair(&self, simd: S, pair: [PanelOfB<'_, T, S>; 2]) -> Option<[[T::Vector<S>; 2]; MR]>;
}

impl<T: Lanes, S: Simd, const MR: usize, const NV: usize> Layout<T, S, MR, NV> for KMajor<'_, T, MR> {
    #[inline(always)]
    fn sums(&self, simd: S, nonzero_b: &NonZeroK, panel: &[[T::Vector<S>; NV]]) -> [[T::Vector<S>; NV]; MR] {
        let mut sums = [[T::splat(simd, T::zero()); NV]; MR];
        let k = self.values.len().min(panel.len());
        let (a, b) = (&self.values[..k], &panel[..k]);
        for &p in nonzero_b.shorter(self.nonzero) {
            let a = &a[usize::from(p)];
            rank_1_update(
                simd,
                &mut sums,
                #[inline(always)]
                |row| a[row],
                b[usize::from(p)],
            );
        }
        sums
    }

    #[inline(always)]
    fn sums_of_pair(
        &self,
        simd: S,
        [(left, nonzero_left), (right, nonzero_right)]: [PanelOfB<'_, T, S>; 2],
    ) -> Option<[[T::Vector<S>; 2]; MR]> {
        let k = self.values.len();
        if ![self.nonzero, nonzero_left, nonzero_right].iter().all(|nonzero| nonzero.are_most_of(k)) {
            return None;
        }
        let mut sums = [[T::splat(simd, T::zero()); 2]; MR];
        for (a, (&left, &right)) in self.values.iter().zip(left.iter().zip(right)) {
            rank_1_update(
                simd,
                &mut sums,
                #[inline(always)]
                |row| a[row],
                [left, right],
            );
        }
        Some(sums)
    }
}

impl<T: Lanes, S: Simd, const MR: usize, const NV: usize> Layout<T, S, MR, NV> for RunPanel<'_, T, MR> {
    #[inline(always)]
    fn sums(&self, simd: S, _: &NonZeroK, panel: &[[T::Vector<S>; NV]]) -> [[T::Vector<S>; NV]; MR] {
        self.times(simd, panel.iter().copied())
    }

    #[inline(always)]
    fn sums_of_pair(
        &self,
        simd: S,
        [(left, _), (right, _)]: [PanelOfB<'_, T, S>; 2],
    ) -> Option<[[T::Vector<S>; 2]; MR]> {
        Some(self.times(
            simd,
            left.iter().zip(right).map(
                #[inline(always)]
                |(&left, &right)| [left, right],
            ),
        ))
    }
}

impl<T: Lanes, const MR: usize> RunPanel<'_, T, MR> {
    /// The sums over all k of a micro-panel of A and rows of B.
    #[inline(always)]
    fn times<S: Simd, const NV: usize>(
        &self,
        simd: S,
        mut b: impl ExactSizeIterator<Item = [T::Vector<S>; NV]>,
    ) -> [[T::Vector<S>; NV]; MR] {
        let mut sums = [[T::splat(simd, T::zero()); NV]; MR];
        for rows in self.runs() {
            let len = rows[0].len();
            let mut run = [&[] as &[T]; MR];
            for (run, row) in run.iter_mut().zip(rows) {
                *run = &row[..len];
            }
            for (p, b) in (0..len).zip(&mut b) {
                rank_1_update(
                    simd,
                    &mut sums,
                    #[inline(always)]
                    |row| run[row][p],
                    b,
                );
            }
        }
        sums
    }
}

/// Never inlined: inside its caller the compiler would keep the accumulators in memory.
#[inline(never)]
fn multiply<A, T: Lanes, S: Simd, const MR: usize, const NV: usize>(
    tiles: &mut MicroKernel<'_, '_, '_, '_, A, T, S, MR, NV>,
) where
    A: Layout<T, S, MR, NV> + Layout<T, S, MR, 1>,
{
    tiles.simd.vectorize(tiles);
}

impl<A, T: Lanes, S: Simd, const MR: usize, const NV: usize> NullaryFnOnce
    for &mut MicroKernel<'_, '_, '_, '_, A, T, S, MR, NV>
where
    A: Layout<T, S, MR, NV> + Layout<T, S, MR, 1>,
{
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let MicroKernel { simd, a, row: TileRow { b, k_block, k, ref mut out, row, col, accumulate } } = *self;
        let (mut at, width, cols) = (0, NV * T::count::<S>(), out.cols);
        while at < cols {
            let to = out.corner(row, at);
            let panel = |at: usize| {
                let (panel, nonzero_b) = b.panel(k_block, k, col + at);
                (T::vectors::<S>(panel), nonzero_b)
            };
            let (first, nonzero_b) = panel(at);
            if NV == 1
                && cols - at >= 2 * width
                && let Some(sums) =
                    Layout::<T, S, MR, NV>::sums_of_pair(a, simd, [(first, nonzero_b), panel(at + width)])
            {
                store::<T, S, MR, 2>(simd, sums, to, accumulate);
                at += 2 * width;
                continue;
            }
            match NV == 1 || first.len() == k * NV {
                true => store::<T, S, MR, NV>(simd, a.sums(simd, nonzero_b, first.as_chunks().0), to, accumulate),
                false => store::<T, S, MR, 1>(simd, a.sums(simd, nonzero_b, first.as_chunks().0), to, accumulate),
            }
            at += width;
        }
    }
}

/// One step along k: rank-1 update of the accumulators. `a` is read row by row: all rows at once take too many registers.
#[inline(always)]
fn rank_1_update<T: Lanes, S: Simd, const MR: usize, const NV: usize>(
    simd: S,
    sums: &mut [[T::Vector<S>; NV]; MR],
    a: impl Fn(usize) -> T,
    b: [T::Vector<S>; NV],
) {
    for (row, sums) in sums.iter_mut().enumerate() {
        let a = T::splat(simd, a(row));
        for (sum, b) in sums.iter_mut().zip(b) {
            *sum = T::multiply_add(simd, a, b, *sum);
        }
    }
}

/// Stores a micro-tile in these rows of C, or adds it to them.
#[inline(always)]
fn store<T: Lanes, S: Simd, const MR: usize, const NV: usize>(
    simd: S,
    sums: [[T::Vector<S>; NV]; MR],
    rows: [&mut [T]; MR],
    accumulate: bool,
) {
    let whole = rows[0].len() >= NV * T::count::<S>();
    // Separate short loops are unrolled, so that sums go straight from registers to memory.
    match (whole, accumulate) {
        (true, false) => {
            for (r, out) in rows.into_iter().enumerate() {
                vectors::<T, S, NV>(out).copy_from_slice(&sums[r]);
            }
        }
        (true, true) => {
            for (r, out) in rows.into_iter().enumerate() {
                for (out, sum) in vectors::<T, S, NV>(out).iter_mut().zip(sums[r]) {
                    *out = T::sum(simd, *out, sum);
                }
            }
        }
        (false, _) => {
            for (r, out) in rows.into_iter().enumerate() {
                let sums = sums[r];
                store_partial(bytemuck::cast_slice(&sums), out, accumulate);
            }
        }
    }
}

/// The first `NV` vectors of a row.
#[inline(always)]
fn vectors<T: Lanes, S: Simd, const NV: usize>(row: &mut [T]) -> &mut [T::Vector<S>] {
    &mut T::vectors_mut::<S>(row)[..NV]
}

/// Stores or adds as many of a row's sums as `out` has columns.
#[inline(never)]
fn store_partial<T: Lanes>(sums: &[T], out: &mut [T], accumulate: bool) {
    out.iter_mut().zip(sums).for_each(|(out, &sum)| *out = if accumulate { *out + sum } else { sum });
}
