//! Micro-panels of A, MR rows of one k-block, each just before it is multiplied by each micro-panel of B. Rows are read where they
//! lie; what is stored by columns, or has many zeros, is packed.

use pulp::{NullaryFnOnce, Simd};

use super::nonzero::{CHUNK, NonZeroK};
use super::operand::{Matrix, Operand, Order, RunPanel};
use super::transpose::transposed;
use crate::compute::aligned::{AlignedBuffer, CACHE_LINE};
use crate::compute::simd::Lanes;

/// Micro-panels that are packed together where the columns of A are contiguous. One takes only part of a cache line per k, and
/// the rows of a wide matrix share a few cache sets: by the next micro-panel its lines would be evicted.
pub(super) const PANELS_AT_ONCE: usize = 8;
/// Prefetch distance in k: strides are too long for the hardware prefetcher. So many lines fit even into one set of an 8-way
/// first-level cache.
const PREFETCH_DISTANCE: usize = 6;

/// Micro-panel of A: MR rows of one k-block.
pub(super) enum MicroPanel<'s, T, const MR: usize> {
    /// Rows where they lie: every k is multiplied.
    Runs(&'s RunPanel<'s, T, MR>),
    /// Packed: any k can be skipped.
    KMajor(KMajor<'s, T, MR>),
}

/// The MR values of one k side by side, and the k at which not all are zero.
#[derive(Clone, Copy)]
pub(super) struct KMajor<'s, T, const MR: usize> {
    pub(super) values: &'s [[T; MR]],
    pub(super) nonzero: &'s NonZeroK,
}

/// Memory of a micro-panel of A.
#[derive(Debug)]
pub(super) struct PackedA {
    values: AlignedBuffer,
    nonzero: NonZeroK,
}

impl PackedA {
    pub(super) const EMPTY: PackedA = PackedA { values: AlignedBuffer::EMPTY, nonzero: NonZeroK::EMPTY };

    /// The micro-panel that was packed.
    #[inline(always)]
    pub(super) fn k_major<T: Lanes, const MR: usize>(&mut self, k: usize) -> MicroPanel<'_, T, MR> {
        let values = self.values.slice_mut::<T>(k * MR).as_chunks().0;
        MicroPanel::KMajor(KMajor { values, nonzero: &self.nonzero })
    }
}

/// A micro-panel of the first `MR` rows. Zeros are looked for among stored rows alone: the patches of a convolution have too few
/// where all of a micro-panel's are zero.
///
/// Never inlined: each epilogue's GEMM would have a copy.
#[inline(never)]
pub(super) fn panel_of_rows<'s, 'a, T: Lanes, S: Simd, const MR: usize>(
    simd: S,
    a: Operand<'a, T>,
    k: usize,
    packed: &'s mut PackedA,
    runs: &'s mut RunPanel<'a, T, MR>,
) -> MicroPanel<'s, T, MR> {
    simd.vectorize(PanelOfRows { simd, a, k, packed, runs })
}

struct PanelOfRows<'s, 'a, T, S, const MR: usize> {
    simd: S,
    a: Operand<'a, T>,
    k: usize,
    packed: &'s mut PackedA,
    runs: &'s mut RunPanel<'a, T, MR>,
}

impl<'s, T: Lanes, S: Simd, const MR: usize> NullaryFnOnce for PanelOfRows<'s, '_, T, S, MR> {
    type Output = MicroPanel<'s, T, MR>;

    #[inline(always)]
    fn call(self) -> MicroPanel<'s, T, MR> {
        let PanelOfRows { simd, a, k, packed: PackedA { values, nonzero }, runs } = self;
        match a {
            Operand::Runs(a) => {
                a.find_panel(k, runs);
                MicroPanel::Runs(runs)
            }
            Operand::Computed(a) => {
                assert!(matches!(a.order, Order::Columns), "A is computed by columns");
                let values = values.slice_mut::<T>(k * MR);
                a.fill(0, MR, values);
                nonzero.set_all(k);
                MicroPanel::KMajor(KMajor { values: values.as_chunks().0, nonzero })
            }
            Operand::Dense(a) => {
                let mut rows = [&[] as &[T]; MR];
                for (at, row) in rows.iter_mut().enumerate() {
                    *row = &a.values[at * a.strides.0..][..k];
                }
                list_nonzero(rows, nonzero);
                if nonzero.are_most_of(k) {
                    runs.set_rows(rows);
                    return MicroPanel::Runs(runs);
                }
                let values = values.slice_mut::<T>(k * MR).as_chunks_mut().0;
                copy_transposed(simd, rows, values);
                MicroPanel::KMajor(KMajor { values, nonzero })
            }
        }
    }
}

/// Lists the k that are not zero in all rows.
#[inline(always)]
fn list_nonzero<T: Lanes, const MR: usize>(rows: [&[T]; MR], nonzero: &mut NonZeroK) {
    nonzero.clear();
    let k = rows[0].len();
    let mut chunks = [&[] as &[[T; CHUNK]]; MR];
    for (chunks, row) in chunks.iter_mut().zip(rows) {
        *chunks = &row.as_chunks().0[..k / CHUNK];
    }
    for at in 0..k / CHUNK {
        let mut marks = [0; CHUNK];
        for row in chunks {
            for (marks, value) in marks.iter_mut().zip(row[at]) {
                *marks |= value.mark();
            }
        }
        let bits = marks.iter().enumerate().fold(0, |bits, (bit, &marks)| bits | u8::from(marks != 0) << bit);
        nonzero.push_chunk(at * CHUNK, bits);
    }
    nonzero.push_all(k / CHUNK * CHUNK..k);
}

/// Copies `MR` rows, so that the values of one k lie side by side.
#[inline(always)]
fn copy_transposed<T: Lanes, S: Simd, const MR: usize>(simd: S, rows: [&[T]; MR], to: &mut [[T; MR]]) {
    let k = to.len();
    let mut chunks = [&[] as &[[T; CHUNK]]; MR];
    for (chunks, row) in chunks.iter_mut().zip(rows) {
        *chunks = &row.as_chunks().0[..k / CHUNK];
    }
    let (whole, rest) = to.as_chunks_mut::<CHUNK>();
    for (at, to) in whole.iter_mut().enumerate() {
        let mut block = [[T::zero(); CHUNK]; MR];
        for (block, row) in block.iter_mut().zip(chunks) {
            *block = row[at];
        }
        *to = transposed(simd, block);
    }
    for (to, p) in rest.iter_mut().zip(k / CHUNK * CHUNK..) {
        for (to, row) in to.iter_mut().zip(rows) {
            *to = row[p];
        }
    }
}

/// Packs `N` micro-panels of `MR` rows of `a` each, whose columns are contiguous: the values of one k lie side by side. Not inlined
/// either.
#[inline(never)]
pub(super) fn pack_columns<T: Lanes, S: Simd, const MR: usize, const N: usize>(
    simd: S,
    a: Matrix<'_, T>,
    k: usize,
    panels: &mut [PackedA; N],
) {
    simd.vectorize(PackColumns::<T, MR, N> { a, k, panels });
}

struct PackColumns<'p, T, const MR: usize, const N: usize> {
    a: Matrix<'p, T>,
    k: usize,
    panels: &'p mut [PackedA; N],
}

impl<T: Lanes, const MR: usize, const N: usize> NullaryFnOnce for PackColumns<'_, T, MR, N> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let PackColumns { a, k, panels } = self;
        let mut panels = panels.each_mut().map(|PackedA { values, nonzero }| {
            nonzero.clear();
            (values.slice_mut::<T>(k * MR).as_chunks_mut::<MR>().0, nonzero)
        });
        for p in 0..k {
            for line in (0..N * MR).step_by(CACHE_LINE / size_of::<T>()) {
                a.prefetch(line, p + PREFETCH_DISTANCE);
            }
            let rows = &a.values[p * a.strides.1..][..N * MR];
            for ((values, nonzero), &rows) in panels.iter_mut().zip(rows.as_chunks::<MR>().0) {
                values[p] = rows;
                nonzero.push(p, rows.iter().fold(0, |marks, value| marks | value.mark()) == 0);
            }
        }
    }
}
