//! `b`, laid out before the parts of a product are computed: *panels*, `[terms of a block, columns of a tile]`, each of which
//! tiles read from end to end, once for each tile of its columns.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::micro_kernel::Extent;
use super::nonzero::{CHUNK, Terms};
use super::transpose::transposed;
use super::{BLOCK, Matrix};
use crate::compute::aligned::Room;
use crate::compute::each;
use crate::compute::simd::{Lanes, dispatch};

/// Columns that are laid out by a thread at a time: panels of any vectors fill them.
const GROUP: usize = 128;

/// Memory for panels; it keeps what it has.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    values: Room,
    terms: Vec<Terms>,
}

/// All panels of a matrix.
#[derive(Clone, Copy)]
pub(super) struct Panels<'p, T> {
    /// A slot a panel, of as many numbers as a full panel of a full block has: groups of a block, or blocks of a group, one
    /// after another, in the order in which the matrix lies in memory.
    values: &'p [T],
    /// A list a panel.
    terms: &'p [Terms],
    /// Terms of the matrix, and of all blocks but the last.
    count: usize,
    block: usize,
    /// How far apart blocks are, and groups, in columns of full panels.
    steps: (usize, usize),
    cols: usize,
    /// The tiles that read them.
    pub(super) tiles: Extent,
}

/// Columns of a panel for the next ones of `b`, of which there are so many: those of a tile, or as many vectors as it takes.
#[inline(always)]
fn padded(cols: usize, tiles: Extent) -> usize {
    cols.next_multiple_of(tiles.lanes).min(tiles.columns())
}

impl<'p, T: Lanes> Panels<'p, T> {
    /// Those of `b [count, cols]`, laid out by all threads if `shared`.
    pub(super) fn of(b: Matrix<'_, T>, count: usize, cols: usize, shelf: &'p mut Shelf, shared: bool) -> Panels<'p, T> {
        let block = count.div_ceil(count.div_ceil(BLOCK));
        let tiles = dispatch(Tiles(PhantomData::<T>));
        let width = tiles.columns();
        let (slot, panels) = (block * width, GROUP / width);
        let (blocks, groups) = (count.div_ceil(block), cols.div_ceil(GROUP));
        let slots = blocks * groups * panels;
        if shelf.terms.len() < slots {
            shelf.terms.resize(slots, Terms::NONE);
        }
        let (values, terms) = (shelf.values.of(slots * slot), &mut shelf.terms[..slots]);
        let parts = values.chunks_mut(panels * slot).zip(terms.chunks_mut(panels)).enumerate();
        // What a thread reads was mostly written at its own end.
        let by_group = b.strides.1 != 1;
        let steps = if by_group { (GROUP, blocks * GROUP) } else { (groups * GROUP, GROUP) };
        let lay_out = |(at, (values, terms))| {
            let (of_block, of_group) = if by_group { (at % blocks, at / blocks) } else { (at / groups, at % groups) };
            let (from, col) = (of_block * block, of_group * GROUP);
            let (count, cols) = (block.min(count - from), GROUP.min(cols - col));
            dispatch(Group { b: b.from(from, col), count, cols, slot, values, terms });
        };
        match shared {
            true => each(parts, lay_out),
            false => parts.for_each(lay_out),
        }
        Panels { values, terms, count, block, steps, cols, tiles }
    }

    /// The terms of each block.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<T> {
        let Panels { count, block, .. } = *self;
        (0..count).step_by(block).map(move |from| from..count.min(from + block))
    }

    /// The panel that begins with this column, of a block of so many terms, with those in which it is not zero.
    #[inline(always)]
    pub(super) fn panel(&self, block: usize, terms: usize, col: usize) -> (&'p [T], &'p Terms) {
        let width = self.tiles.columns();
        let at = (block * self.steps.0 + col / GROUP * self.steps.1 + col % GROUP) / width;
        let numbers = terms * padded(self.cols - col, self.tiles);
        (&self.values[at * width * self.block..][..numbers], &self.terms[at])
    }
}

/// What tells how large tiles are.
struct Tiles<T>(PhantomData<T>);

impl<T: Lanes> WithSimd for Tiles<T> {
    type Output = Extent;

    fn with_simd<S: Simd>(self, _: S) -> Extent {
        Extent::of::<T, S>()
    }
}

/// Columns of a block of `b`, from its first ones on, that are to be laid out.
struct Group<'g, T> {
    b: Matrix<'g, T>,
    count: usize,
    cols: usize,
    slot: usize,
    values: &'g mut [T],
    terms: &'g mut [Terms],
}

impl<T: Lanes> WithSimd for Group<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Group { b, count, cols, slot, values, terms } = self;
        terms.iter_mut().for_each(Terms::clear);
        // Not handed over: known as it is compiled, it gives loops of fixed lengths.
        let tiles = Extent::of::<T, S>();
        let width = tiles.columns();
        let (whole, last) = values.split_at_mut(cols / width * slot);
        if b.strides.1 == 1 {
            panels(b, count, width, slot, whole, terms);
        } else {
            for (at, (panel, terms)) in whole.chunks_exact_mut(slot).zip(&mut *terms).enumerate() {
                transposed_panel(simd, b.from(0, at * width), width, &mut panel[..count * width], terms);
            }
        }
        if let (left @ 1.., Some(terms)) = (cols % width, terms.get_mut(cols / width)) {
            let width = padded(left, tiles);
            ragged_panel(b.from(0, cols - left), left, width, &mut last[..count * width], terms);
        }
    }
}

/// A panel of as many columns of `b`, from its first on, as there are; `panel` is `[terms, width]`, zero beyond them.
#[inline(always)]
fn ragged_panel<T: Lanes>(b: Matrix<'_, T>, cols: usize, width: usize, panel: &mut [T], terms: &mut Terms) {
    for (term, to) in panel.chunks_exact_mut(width).enumerate() {
        for (col, to) in to.iter_mut().enumerate() {
            *to = if col < cols { b.values[term * b.strides.0 + col * b.strides.1] } else { T::zero() };
        }
    }
    terms.push_all(0..panel.len() / width);
}

/// Panels of `width` columns of `b`, whose rows lie side by side.
#[inline(always)]
fn panels<T: Lanes>(b: Matrix<'_, T>, count: usize, width: usize, slot: usize, panels: &mut [T], terms: &mut [Terms]) {
    // A few rows at a time across all panels: a panel at a time would fetch a new line, far from the last, for each row.
    for from in (0..count).step_by(CHUNK) {
        for (at, (panel, terms)) in panels.chunks_exact_mut(slot).zip(&mut *terms).enumerate() {
            let mut marks = 0;
            for term in from..count.min(from + CHUNK) {
                // The steps from row to row are too long for the CPU to foresee.
                b.prefetch(term + CHUNK, at * width);
                let row = &b.values[term * b.strides.0 + at * width..][..width];
                panel[term * width..][..width].copy_from_slice(row);
                let zero = row.iter().fold(0, |marks, value| marks | value.mark()) == 0;
                marks |= u8::from(!zero) << (term - from);
            }
            terms.push_chunk(from, marks);
        }
    }
}

/// A panel of `width` columns of `b`, whose columns lie side by side; `panel` is `[terms, width]`.
#[inline(always)]
fn transposed_panel<T: Lanes, S: Simd>(simd: S, b: Matrix<'_, T>, width: usize, panel: &mut [T], terms: &mut Terms) {
    let count = panel.len() / width;
    let column = |col: usize| &b.values[col * b.strides.1..][..count];
    let squares = if width.is_multiple_of(CHUNK) { count / CHUNK } else { 0 };
    for col in (0..if squares > 0 { width } else { 0 }).step_by(CHUNK) {
        let mut columns = [&[] as &[[T; CHUNK]]; CHUNK];
        for (at, chunks) in columns.iter_mut().enumerate() {
            *chunks = &column(col + at).as_chunks().0[..squares];
        }
        for (at, rows) in panel.chunks_exact_mut(CHUNK * width).take(squares).enumerate() {
            // Columns are too short for the CPU to foresee the next ones.
            (0..CHUNK).for_each(|next| b.prefetch(at * CHUNK, col + CHUNK + next));
            let square = transposed(simd, columns.map(|column| column[at]));
            for (row, values) in rows.chunks_exact_mut(width).zip(square) {
                row[col..][..CHUNK].copy_from_slice(&values);
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
