//! Rows of `a`, laid out as a *sliver* just before tiles read it, once for each panel.

use pulp::Simd;

use super::Matrix;
use super::nonzero::{CHUNK, Terms};
use super::transpose::transposed;
use crate::compute::aligned::{LINE, Room};
use crate::compute::simd::Lanes;

/// Slivers that are laid out at once where the columns of `a` lie side by side. One of them takes a part of a cache line for
/// each term, and the rows of a wide matrix share a few places in the caches: by the next sliver its lines would be gone.
pub(super) const AT_ONCE: usize = 8;
/// Terms whose values are fetched ahead: the steps from row to row are too long for the CPU to foresee. A line for each of
/// them fits even where all share one place, that of eight lines in the first-level cache.
const AHEAD: usize = 6;

/// Rows of `a` in the terms of a block.
#[derive(Clone, Copy)]
pub(super) enum Sliver<'s, T, const R: usize> {
    /// All of them: chunks of each row, of which the last may be filled in part.
    Rows(&'s [[[T; CHUNK]; R]]),
    /// Term by term.
    Columns(&'s [[T; R]]),
}

/// A sliver as it was laid out, with the terms in which it is not zero, and its memory.
#[derive(Debug)]
pub(super) struct Laid {
    values: Room,
    /// See [`Sliver`].
    in_rows: bool,
    terms: Terms,
}

impl Laid {
    pub(super) const NONE: Laid = Laid { values: Room::NONE, in_rows: false, terms: Terms::NONE };

    /// The sliver, laid out in `R` rows and so many terms.
    #[inline(always)]
    pub(super) fn sliver<T: Lanes, const R: usize>(&mut self, count: usize) -> (Sliver<'_, T, R>, &Terms) {
        let values = of_chunks::<T, R>(&mut self.values, count);
        let sliver = match self.in_rows {
            true => Sliver::Rows(values.as_chunks().0.as_chunks().0),
            false => Sliver::Columns(&values.as_chunks().0[..count]),
        };
        (sliver, &self.terms)
    }
}

/// `R` rows of so many terms, and of those that make the last chunk whole.
#[inline(always)]
fn of_chunks<T: Lanes, const R: usize>(values: &mut Room, count: usize) -> &mut [T] {
    values.of(count.next_multiple_of(CHUNK) * R)
}

/// Lays out slivers, one after another, of `R` rows of `a` each in so many terms.
#[inline(always)]
pub(super) fn lay_out<T: Lanes, S: Simd, const R: usize, const N: usize>(
    simd: S,
    a: Matrix<'_, T>,
    count: usize,
    slivers: &mut [Laid; N],
) {
    if a.strides.1 != 1 {
        return columns::<T, R, N>(a, count, slivers);
    }
    for (at, sliver) in slivers.iter_mut().enumerate() {
        rows::<T, S, R>(simd, a.from(at * R, 0), count, sliver);
    }
}

/// [`lay_out`] for a matrix whose columns lie side by side: a term's values do too.
#[inline(always)]
fn columns<T: Lanes, const R: usize, const N: usize>(a: Matrix<'_, T>, count: usize, slivers: &mut [Laid; N]) {
    let mut slivers = slivers.each_mut().map(|Laid { values, in_rows, terms }| {
        *in_rows = false;
        terms.clear();
        (&mut of_chunks::<T, R>(values, count).as_chunks_mut::<R>().0[..count], terms)
    });
    for term in 0..count {
        for line in (0..N * R).step_by(LINE / size_of::<T>()) {
            a.prefetch(line, term + AHEAD);
        }
        let rows = &a.values[term * a.strides.1..][..N * R];
        for ((values, terms), &rows) in slivers.iter_mut().zip(rows.as_chunks::<R>().0) {
            values[term] = rows;
            terms.push(term, rows.iter().fold(0, |marks, value| marks | value.mark()) == 0);
        }
    }
}

/// [`lay_out`] of a sliver of a matrix whose rows lie side by side.
#[inline(always)]
fn rows<T: Lanes, S: Simd, const R: usize>(simd: S, a: Matrix<'_, T>, count: usize, sliver: &mut Laid) {
    let Laid { values, in_rows, terms } = sliver;
    terms.clear();
    let values = of_chunks::<T, R>(values, count);
    let mut rows = [&[] as &[T]; R];
    for (at, row) in rows.iter_mut().enumerate() {
        *row = &a.values[at * a.strides.0..][..count];
    }
    let chunks = values.as_chunks_mut().0.as_chunks_mut().0;
    copy(rows, chunks, terms);
    *in_rows = terms.count() * CHUNK >= count * (CHUNK - 1);
    if *in_rows {
        return;
    }
    for chunk in chunks {
        let columns = transposed(simd, *chunk);
        bytemuck::cast_slice_mut(chunk).copy_from_slice(&columns);
    }
}

/// Lays rows out chunk by chunk.
#[inline(always)]
fn copy<T: Lanes, const R: usize>(rows: [&[T]; R], chunks: &mut [[[T; CHUNK]; R]], terms: &mut Terms) {
    let count = rows[0].len();
    let mut whole = [&[] as &[[T; CHUNK]]; R];
    for (whole, row) in whole.iter_mut().zip(rows) {
        *whole = &row.as_chunks().0[..count / CHUNK];
    }
    for (at, to) in chunks[..count / CHUNK].iter_mut().enumerate() {
        let mut marks = [0; CHUNK];
        for (to, row) in to.iter_mut().zip(whole) {
            *to = row[at];
            for (marks, value) in marks.iter_mut().zip(row[at]) {
                *marks |= value.mark();
            }
        }
        let bits = marks.iter().enumerate().fold(0, |bits, (bit, &marks)| bits | u8::from(marks != 0) << bit);
        terms.push_chunk(at * CHUNK, bits);
    }
    if let Some(to) = chunks.get_mut(count / CHUNK) {
        for (to, row) in to.iter_mut().zip(rows) {
            to[..count % CHUNK].copy_from_slice(&row[count / CHUNK * CHUNK..]);
        }
        terms.push_all(count / CHUNK * CHUNK..count);
    }
}
