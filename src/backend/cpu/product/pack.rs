//! A product's factors, laid out in the order in which tiles read them, and the terms that are worth multiplying.
//!
//! `b` becomes *panels*, `[terms, columns of a tile]`, each read once for each tile of its columns. `a` becomes *slivers*, the
//! rows of a tile, each read once for each tile of its rows.
//!
//! A term of a sum is zero where either of its factors is; sums are the same without it, `s + 0 b = s`, unless the other
//! factor is infinite or not a number. Panels and slivers list the terms in which not all of their numbers are zero, and a
//! tile takes those of the shorter list. Digits on black are what this is for: four of five pixels of MNIST are 0, and so are
//! more than half of the terms of six images, and two fifths of those of sixteen pixels side by side. Photographs gain
//! nothing, and pay for the search.

use std::ops::Range;

use super::{BLOCK, Matrix};
use crate::simd::Lanes;

/// Terms that are laid out together, a row's side by side.
pub(super) const CHUNK: usize = 8;

/// Terms of a block, in their order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    listed: [u8; BLOCK],
    count: usize,
}

impl Terms {
    pub(super) const NONE: Terms = Terms { listed: [0; BLOCK], count: 0 };

    /// Adds a term to those before it, unless it is zero.
    #[inline(always)]
    fn push(&mut self, term: usize, zero: bool) {
        // No branch, which would often be guessed wrong.
        self.listed[self.count % BLOCK] = term as u8;
        self.count += usize::from(!zero);
    }

    /// Adds all of these terms.
    #[inline(always)]
    fn push_all(&mut self, terms: Range<usize>) {
        let to = &mut self.listed[self.count..][..terms.len()];
        self.count += terms.len();
        to.iter_mut().zip(terms).for_each(|(to, term)| *to = term as u8);
    }

    /// Adds a chunk's terms, from this one on, whose bits are set.
    #[inline(always)]
    fn push_chunk(&mut self, from: usize, marks: u8) {
        match marks {
            0 => {}
            0xff => self.push_all(from..from + CHUNK),
            _ => (0..CHUNK).for_each(|bit| self.push(from + bit, marks >> bit & 1 == 0)),
        }
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    fn listed(&self) -> &[u8] {
        &self.listed[..self.count]
    }

    pub(super) fn shorter<'t>(&'t self, other: &'t Terms) -> &'t [u8] {
        if self.count < other.count { self.listed() } else { other.listed() }
    }
}

/// Rows of `a` in the terms of a block.
#[derive(Clone, Copy)]
pub(super) enum Sliver<'s, T, const R: usize> {
    /// All of them: chunks of each row, of which the last may be filled in part.
    Rows(&'s [[[T; CHUNK]; R]]),
    /// Term by term.
    Columns(&'s [[T; R]]),
}

/// A cache line of any numbers: vectors that begin where lines do lie in one.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([u64; 8]);

/// Memory for numbers of any kind; it keeps what it has.
#[derive(Debug)]
pub(super) struct Room(Vec<Line>);

impl Room {
    pub(super) const NONE: Room = Room(Vec::new());

    pub(super) fn of<T: Lanes>(&mut self, count: usize) -> &mut [T] {
        let lines = (count * size_of::<T>()).div_ceil(size_of::<Line>());
        if self.0.len() < lines {
            self.0.resize(lines, Line([0; 8]));
        }
        &mut bytemuck::cast_slice_mut(&mut self.0)[..count]
    }
}

/// A panel of as many columns of `b`, from its first on, as there are; `panel` is `[terms, width]`, zero beyond them.
#[inline(always)]
pub(super) fn ragged_panel<T: Lanes>(b: Matrix<'_, T>, cols: usize, width: usize, panel: &mut [T], terms: &mut Terms) {
    for (term, to) in panel.chunks_exact_mut(width).enumerate() {
        for (col, to) in to.iter_mut().enumerate() {
            *to = if col < cols { b.values[term * b.strides.0 + col * b.strides.1] } else { T::zero() };
        }
    }
    terms.push_all(0..panel.len() / width);
}

/// Panels of `width` columns of `b`, whose rows lie side by side.
#[inline(always)]
pub(super) fn panels<T: Lanes>(b: Matrix<'_, T>, count: usize, width: usize, panels: &mut [T], terms: &mut [Terms]) {
    // A few rows at a time across all panels: a panel at a time would fetch a new line, far from the last, for each row.
    for from in (0..count).step_by(CHUNK) {
        for (at, (panel, terms)) in panels.chunks_exact_mut(count * width).zip(&mut *terms).enumerate() {
            for term in from..count.min(from + CHUNK) {
                let row = &b.values[term * b.strides.0 + at * width..][..width];
                panel[term * width..][..width].copy_from_slice(row);
                terms.push(term, row.iter().fold(0, |marks, value| marks | value.mark()) == 0);
            }
        }
    }
}

/// A panel of `width` columns of `b`, whose columns lie side by side; `panel` is `[terms, width]`.
#[inline(always)]
pub(super) fn transposed_panel<T: Lanes>(b: Matrix<'_, T>, width: usize, panel: &mut [T], terms: &mut Terms) {
    let count = panel.len() / width;
    let column = |col: usize| &b.values[col * b.strides.1..][..count];
    let squares = if width.is_multiple_of(CHUNK) { count / CHUNK } else { 0 };
    for col in (0..if squares > 0 { width } else { 0 }).step_by(CHUNK) {
        let mut columns = [&[] as &[[T; CHUNK]]; CHUNK];
        for (at, chunks) in columns.iter_mut().enumerate() {
            *chunks = &column(col + at).as_chunks().0[..squares];
        }
        for (at, rows) in panel.chunks_exact_mut(CHUNK * width).take(squares).enumerate() {
            for (term, row) in rows.chunks_exact_mut(width).enumerate() {
                for (to, column) in row[col..][..CHUNK].iter_mut().zip(columns) {
                    *to = column[at][term];
                }
            }
        }
    }
    for term in squares * CHUNK..count {
        for col in 0..width {
            panel[term * width + col] = column(col)[term];
        }
    }
    terms.push_all(0..count);
}

/// Lays out `R` rows of `a` in so many terms.
#[inline(always)]
pub(super) fn sliver<'s, T: Lanes, const R: usize>(
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
    if terms.count * CHUNK >= count * (CHUNK - 1) {
        return Sliver::Rows(&values.as_chunks().0.as_chunks().0[..count.div_ceil(CHUNK)]);
    }
    let values = &mut values.as_chunks_mut().0[..count];
    // A panel's list may have terms that this one has not.
    values.fill([T::zero(); R]);
    for &term in terms.listed() {
        for (to, row) in values[usize::from(term)].iter_mut().zip(rows) {
            *to = row[usize::from(term)];
        }
    }
    Sliver::Columns(values)
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
