//! Packing of A, a micro-panel of MR rows at a time, just before it is multiplied by each micro-panel of B.

use pulp::Simd;

use super::nonzero::{CHUNK, NonZeroK};
use super::operand::{Matrix, Operand};
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
#[derive(Clone, Copy)]
pub(super) enum MicroPanel<'s, T, const MR: usize> {
    /// Chunks of k, row by row inside each; the last may be partly filled. For dense A: every k is multiplied.
    RowChunks(&'s [[[T; CHUNK]; MR]]),
    /// k-major: the MR values of one k side by side. Any k can be skipped.
    KMajor(&'s [[T; MR]]),
}

/// Memory of a packed micro-panel of A, and its non-zero k.
#[derive(Debug)]
pub(super) struct PackedA {
    values: AlignedBuffer,
    /// Rows that are computed, before they are packed.
    staged: AlignedBuffer,
    /// Which layout of [`MicroPanel`] it has.
    row_chunks: bool,
    nonzero: NonZeroK,
}

impl PackedA {
    pub(super) const EMPTY: PackedA = PackedA {
        values: AlignedBuffer::EMPTY,
        staged: AlignedBuffer::EMPTY,
        row_chunks: false,
        nonzero: NonZeroK::EMPTY,
    };

    /// The micro-panel that was packed, of `MR` rows and this k.
    #[inline(always)]
    pub(super) fn panel<T: Lanes, const MR: usize>(&mut self, k: usize) -> (MicroPanel<'_, T, MR>, &NonZeroK) {
        let values = chunks_of::<T, MR>(&mut self.values, k);
        let panel = match self.row_chunks {
            true => MicroPanel::RowChunks(values.as_chunks().0.as_chunks().0),
            false => MicroPanel::KMajor(&values.as_chunks().0[..k]),
        };
        (panel, &self.nonzero)
    }
}

/// Memory for `MR` rows of k, rounded up to whole chunks.
#[inline(always)]
fn chunks_of<T: Lanes, const MR: usize>(values: &mut AlignedBuffer, k: usize) -> &mut [T] {
    values.slice_mut(k.next_multiple_of(CHUNK) * MR)
}

/// Packs `N` micro-panels of `MR` rows of `a` each, one after another; `search` says whether zeros are looked for in rows that are
/// computed.
#[inline(always)]
pub(super) fn pack<T: Lanes, S: Simd, const MR: usize, const N: usize>(
    simd: S,
    a: Operand<'_, T>,
    k: usize,
    search: bool,
    panels: &mut [PackedA; N],
) {
    if let (Operand::Dense(a), true) = (a, a.is_transposed()) {
        return pack_columns::<T, MR, N>(a, k, panels);
    }
    for (at, panel) in panels.iter_mut().enumerate() {
        match a.from(at * MR, 0) {
            Operand::Dense(a) => pack_rows::<T, S, MR>(simd, a, k, panel),
            Operand::Computed(a) => {
                let mut staged = std::mem::take(&mut panel.staged);
                let rows = staged.slice_mut(MR * k);
                a.fill_rows(k, rows);
                match search {
                    true => pack_rows::<T, S, MR>(simd, Matrix::rows(rows, k), k, panel),
                    false => pack_dense::<T, MR>(rows, k, panel),
                }
                panel.staged = staged;
            }
        }
    }
}

/// [`pack`] for contiguous columns, where the values of one k lie side by side.
#[inline(always)]
fn pack_columns<T: Lanes, const MR: usize, const N: usize>(a: Matrix<'_, T>, k: usize, panels: &mut [PackedA; N]) {
    let mut panels = panels.each_mut().map(|PackedA { values, row_chunks, nonzero, .. }| {
        *row_chunks = false;
        nonzero.clear();
        (&mut chunks_of::<T, MR>(values, k).as_chunks_mut::<MR>().0[..k], nonzero)
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

/// [`pack`] of one micro-panel for contiguous rows.
#[inline(always)]
fn pack_rows<T: Lanes, S: Simd, const MR: usize>(simd: S, a: Matrix<'_, T>, k: usize, panel: &mut PackedA) {
    let PackedA { values, row_chunks, nonzero, .. } = panel;
    nonzero.clear();
    let values = chunks_of::<T, MR>(values, k);
    let mut rows = [&[] as &[T]; MR];
    for (at, row) in rows.iter_mut().enumerate() {
        *row = &a.values[at * a.strides.0..][..k];
    }
    let chunks = values.as_chunks_mut().0.as_chunks_mut().0;
    copy_chunks(rows, chunks, nonzero);
    *row_chunks = nonzero.count() * CHUNK >= k * (CHUNK - 1);
    if *row_chunks {
        return;
    }
    for chunk in chunks {
        let columns = transposed(simd, *chunk);
        bytemuck::cast_slice_mut(chunk).copy_from_slice(&columns);
    }
}

/// [`pack_rows`] without a search for zeros.
#[inline(always)]
fn pack_dense<T: Lanes, const MR: usize>(rows: &[T], k: usize, panel: &mut PackedA) {
    let PackedA { values, row_chunks, nonzero, .. } = panel;
    let chunks: &mut [[[T; CHUNK]; MR]] = chunks_of::<T, MR>(values, k).as_chunks_mut().0.as_chunks_mut().0;
    for (row, values) in rows.chunks_exact(k).enumerate() {
        let (whole, rest) = values.as_chunks::<CHUNK>();
        for (chunk, values) in chunks.iter_mut().zip(whole) {
            chunk[row] = *values;
        }
        if let Some(chunk) = chunks.get_mut(whole.len()) {
            chunk[row][..rest.len()].copy_from_slice(rest);
        }
    }
    *row_chunks = true;
    nonzero.clear();
    nonzero.push_all(0..k);
}

/// Copies rows chunk by chunk, and lists the non-zero k.
#[inline(always)]
fn copy_chunks<T: Lanes, const MR: usize>(rows: [&[T]; MR], chunks: &mut [[[T; CHUNK]; MR]], nonzero: &mut NonZeroK) {
    let k = rows[0].len();
    let mut whole = [&[] as &[[T; CHUNK]]; MR];
    for (whole, row) in whole.iter_mut().zip(rows) {
        *whole = &row.as_chunks().0[..k / CHUNK];
    }
    for (at, to) in chunks[..k / CHUNK].iter_mut().enumerate() {
        let mut marks = [0; CHUNK];
        for (to, row) in to.iter_mut().zip(whole) {
            *to = row[at];
            for (marks, value) in marks.iter_mut().zip(row[at]) {
                *marks |= value.mark();
            }
        }
        let bits = marks.iter().enumerate().fold(0, |bits, (bit, &marks)| bits | u8::from(marks != 0) << bit);
        nonzero.push_chunk(at * CHUNK, bits);
    }
    if let Some(to) = chunks.get_mut(k / CHUNK) {
        for (to, row) in to.iter_mut().zip(rows) {
            to[..k % CHUNK].copy_from_slice(&row[k / CHUNK * CHUNK..]);
        }
        nonzero.push_all(k / CHUNK * CHUNK..k);
    }
}
