//! Rows of `a`, laid out as a *sliver* just before tiles read it, once for each panel.

use pulp::Simd;

use super::Matrix;
use super::square::transposed;
use super::terms::{CHUNK, Terms};
use crate::simd::Lanes;

/// Rows of `a` in the terms of a block.
#[derive(Clone, Copy)]
pub(super) enum Sliver<'s, T, const R: usize> {
    /// All of them: chunks of each row, of which the last may be filled in part.
    Rows(&'s [[[T; CHUNK]; R]]),
    /// Term by term.
    Columns(&'s [[T; R]]),
}

/// Lays out `R` rows of `a` in so many terms.
#[inline(always)]
pub(super) fn sliver<'s, T: Lanes, S: Simd, const R: usize>(
    simd: S,
    a: Matrix<'_, T>,
    count: usize,
    values: &'s mut [T],
    terms: &mut Terms,
) -> Sliver<'s, T, R> {
    terms.clear();
    if a.strides.1 != 1 {
        let values = &mut values.as_chunks_mut().0[..count];
        columns(a, values, terms);
        return Sliver::Columns(values);
    }
    let mut rows = [&[] as &[T]; R];
    for (at, row) in rows.iter_mut().enumerate() {
        *row = &a.values[at * a.strides.0..][..count];
    }
    let chunks = &mut values.as_chunks_mut().0.as_chunks_mut().0[..count.div_ceil(CHUNK)];
    copy(rows, chunks, terms);
    if terms.count() * CHUNK >= count * (CHUNK - 1) {
        return Sliver::Rows(&values.as_chunks().0.as_chunks().0[..count.div_ceil(CHUNK)]);
    }
    for chunk in chunks {
        let columns = transposed(simd, *chunk);
        bytemuck::cast_slice_mut(chunk).copy_from_slice(&columns);
    }
    Sliver::Columns(&values.as_chunks().0[..count])
}

/// [`sliver`] of a matrix whose rows lie side by side.
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

/// [`sliver`] of a matrix whose columns lie side by side: a term's values do too.
#[inline(always)]
fn columns<T: Lanes, const R: usize>(a: Matrix<'_, T>, values: &mut [[T; R]], terms: &mut Terms) {
    for (term, to) in values.iter_mut().enumerate() {
        let mut marks = 0;
        for (to, &value) in to.iter_mut().zip(&a.values[term * a.strides.1..][..R]) {
            *to = value;
            marks |= value.mark();
        }
        terms.push(term, marks == 0);
    }
}
