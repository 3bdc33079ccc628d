//! Packing of B, all of it before C is computed: micro-panels `[k of a k-block, NR]`, each read from end to end, once per
//! micro-tile of its columns.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::KC;
use super::micro_kernel::MicroTile;
use super::nonzero::{CHUNK, NonZeroK};
use super::operand::{Computed, Matrix, Operand, Order, Runs};
use super::transpose::transposed;
use crate::compute::aligned::{AlignedBuffer, scratch};
use crate::compute::parallel_for;
use crate::compute::simd::{Lanes, dispatch};

/// Columns that a thread packs at a time: whole micro-panels for any vector width.
const GROUP: usize = 128;

/// Memory for packed B; it grows and never shrinks.
#[derive(Debug, Default)]
pub(super) struct PackBuffer {
    values: AlignedBuffer,
    nonzero: Vec<NonZeroK>,
}

/// Packed B.
#[derive(Clone, Copy)]
pub(super) struct PackedB<'p, T> {
    /// One slot per micro-panel, sized for a full one: groups within k-blocks, or k-blocks within groups, in the order in which
    /// B lies in memory.
    values: &'p [T],
    /// Non-zero k per micro-panel.
    nonzero: &'p [NonZeroK],
    /// k of B, and of all k-blocks but the last.
    k: usize,
    kc: usize,
    /// Distance between k-blocks, and between groups, in columns of full micro-panels.
    steps: (usize, usize),
    cols: usize,
    /// The micro-tile that it is packed for.
    pub(super) tile: MicroTile,
}

/// Padded width of a micro-panel for `cols` columns left of B: NR, or as many whole vectors as hold them.
#[inline(always)]
fn padded(cols: usize, tile: MicroTile) -> usize {
    cols.next_multiple_of(tile.lanes).min(tile.nr())
}

impl<'p, T: Lanes> PackedB<'p, T> {
    /// Packs `b [k, cols]`, on all threads if `parallel`.
    pub(super) fn pack(
        b: Operand<'_, T>,
        k: usize,
        cols: usize,
        buffer: &'p mut PackBuffer,
        parallel: bool,
    ) -> PackedB<'p, T> {
        let kc = k.div_ceil(k.div_ceil(KC));
        let tile = dispatch(TileOf(PhantomData::<T>));
        let width = tile.nr();
        let (slot, panels) = (kc * width, GROUP / width);
        let (k_blocks, groups) = (k.div_ceil(kc), cols.div_ceil(GROUP));
        let slots = k_blocks * groups * panels;
        if buffer.nonzero.len() < slots {
            buffer.nonzero.resize(slots, NonZeroK::EMPTY);
        }
        let (values, nonzero) = (buffer.values.slice_mut(slots * slot), &mut buffer.nonzero[..slots]);
        let parts = values.chunks_mut(panels * slot).zip(nonzero.chunks_mut(panels)).enumerate();
        // In B's order in memory: what a thread reads here it mostly wrote itself, at its own end.
        let by_group = b.is_transposed();
        let steps = if by_group { (GROUP, k_blocks * GROUP) } else { (groups * GROUP, GROUP) };
        let pack = |(at, (values, nonzero))| {
            let (of_k_block, of_group) =
                if by_group { (at % k_blocks, at / k_blocks) } else { (at / groups, at % groups) };
            let (from, col) = (of_k_block * kc, of_group * GROUP);
            let (k, cols) = (kc.min(k - from), GROUP.min(cols - col));
            match b.from(from, col) {
                Operand::Dense(b) => dispatch(Group { b, k, cols, slot, values, nonzero }),
                Operand::Runs(b) => dispatch(Group { b, k, cols, slot, values, nonzero }),
                Operand::Computed(b) => match b.order {
                    Order::Columns => dispatch(Group { b, k, cols, slot, values, nonzero }),
                    Order::Rows => scratch(k * cols, |rows| {
                        b.fill(0, cols, rows);
                        dispatch(Group { b: Matrix::rows(rows, cols), k, cols, slot, values, nonzero });
                    }),
                },
            }
        };
        match parallel {
            true => parallel_for(parts, pack),
            false => parts.for_each(pack),
        }
        PackedB { values, nonzero, k, kc, steps, cols, tile }
    }

    /// The range of k of each k-block.
    pub(super) fn k_blocks(&self) -> impl Iterator<Item = Range<usize>> + use<T> {
        let PackedB { k, kc, .. } = *self;
        (0..k).step_by(kc).map(move |from| from..k.min(from + kc))
    }

    /// The micro-panel that begins with column `col`, of a k-block, with its non-zero k.
    #[inline(always)]
    pub(super) fn panel(&self, k_block: usize, k: usize, col: usize) -> (&'p [T], &'p NonZeroK) {
        let width = self.tile.nr();
        let at = (k_block * self.steps.0 + col / GROUP * self.steps.1 + col % GROUP) / width;
        let len = k * padded(self.cols - col, self.tile);
        (&self.values[at * width * self.kc..][..len], &self.nonzero[at])
    }
}

/// Asks for the micro-tile of the vector instructions at hand.
struct TileOf<T>(PhantomData<T>);

impl<T: Lanes> WithSimd for TileOf<T> {
    type Output = MicroTile;

    fn with_simd<S: Simd>(self, _: S) -> MicroTile {
        MicroTile::of::<T, S>()
    }
}

/// A group of columns of one k-block of B, to be packed.
struct Group<'g, T, B> {
    b: B,
    k: usize,
    cols: usize,
    slot: usize,
    values: &'g mut [T],
    nonzero: &'g mut [NonZeroK],
}

impl<'g, T: Lanes> WithSimd for Group<'_, T, Matrix<'g, T>> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Group { b, k, cols, slot, values, nonzero } = self;
        nonzero.iter_mut().for_each(NonZeroK::clear);
        // Not a parameter: a compile-time constant gives loops of fixed length.
        let tile = MicroTile::of::<T, S>();
        let width = tile.nr();
        let (whole, last) = values.split_at_mut(cols / width * slot);
        if b.strides.1 == 1 {
            pack_panels(b, k, width, slot, whole, nonzero);
        } else {
            for (at, (panel, nonzero)) in whole.chunks_exact_mut(slot).zip(&mut *nonzero).enumerate() {
                pack_transposed_panel(simd, b.from(0, at * width), width, &mut panel[..k * width], nonzero);
            }
        }
        if let (left @ 1.., Some(nonzero)) = (cols % width, nonzero.get_mut(cols / width)) {
            let width = padded(left, tile);
            pack_ragged_panel(b.from(0, cols - left), left, width, &mut last[..k * width], nonzero);
        }
    }
}

/// Of rows that are runs.
impl<'g, T: Lanes> WithSimd for Group<'_, T, Runs<'g, T>> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Group { b, k, cols, slot, values, nonzero } = self;
        let tile = MicroTile::of::<T, S>();
        let width = tile.nr();
        nonzero[..cols.div_ceil(width)].iter_mut().for_each(|nonzero| nonzero.set_all(k));
        // Of the last panel.
        let (last, last_width) = (cols / width, padded(cols % width, tile));
        if last_width > 0 {
            values[last * slot..][..k * last_width].fill(T::zero());
        }
        b.each_row(
            k,
            cols,
            #[inline(always)]
            |p, runs| {
                let (mut panel, mut within) = (0, 0);
                for run in runs {
                    let mut rest = *run;
                    while !rest.is_empty() {
                        let (piece, others) = rest.split_at(rest.len().min(width - within));
                        let row = p * if panel == last { last_width } else { width };
                        let to = &mut values[panel * slot + row + within..][..piece.len()];
                        match piece.len() == width {
                            true => to[..width].copy_from_slice(&piece[..width]), // of a fixed length
                            false => to.copy_from_slice(piece),
                        }
                        (rest, within) = (others, within + piece.len());
                        if within == width {
                            (panel, within) = (panel + 1, 0);
                        }
                    }
                }
            },
        );
    }
}

/// Of what is computed column by column, a few rows at a time.
impl<'g, T: Lanes> WithSimd for Group<'_, T, Computed<'g, T>> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Group { b, k, cols, slot, values, nonzero } = self;
        let tile = MicroTile::of::<T, S>();
        let width = tile.nr();
        nonzero[..cols.div_ceil(width)].iter_mut().for_each(|nonzero| nonzero.set_all(k));
        // Columns of so many rows; those that pad the last panel are zero.
        let mut block = [[T::zero(); CHUNK]; GROUP];
        for from in (0..k).step_by(CHUNK) {
            let rows = CHUNK.min(k - from);
            b.fill(from, rows, &mut block.as_flattened_mut()[..cols * rows]);
            if rows < CHUNK {
                // Apart from each other as whole ones are.
                for col in (0..cols).rev() {
                    block.as_flattened_mut().copy_within(col * rows..(col + 1) * rows, col * CHUNK);
                }
            }
            for (panel, first) in (0..cols).step_by(width).enumerate() {
                let width = padded(cols - first, tile);
                let to = &mut values[panel * slot + from * width..][..rows * width];
                for at in (0..width).step_by(CHUNK) {
                    let mut columns = [[T::zero(); CHUNK]; CHUNK];
                    let count = CHUNK.min(width - at);
                    columns[..count].copy_from_slice(&block[first + at..][..count]);
                    for (to, row) in to.chunks_exact_mut(width).zip(transposed(simd, columns)) {
                        to[at..][..count].copy_from_slice(&row[..count]);
                    }
                }
            }
        }
    }
}

/// Packs the last `cols` columns of `b` into `panel` `[k, width]`, zero-padded.
#[inline(always)]
fn pack_ragged_panel<T: Lanes>(b: Matrix<'_, T>, cols: usize, width: usize, panel: &mut [T], nonzero: &mut NonZeroK) {
    for (p, to) in panel.chunks_exact_mut(width).enumerate() {
        for (col, to) in to.iter_mut().enumerate() {
            *to = if col < cols { b.values[p * b.strides.0 + col * b.strides.1] } else { T::zero() };
        }
    }
    nonzero.push_all(0..panel.len() / width);
}

/// Packs micro-panels of `width` columns of `b`, whose rows are contiguous.
#[inline(always)]
fn pack_panels<T: Lanes>(
    b: Matrix<'_, T>,
    k: usize,
    width: usize,
    slot: usize,
    panels: &mut [T],
    nonzero: &mut [NonZeroK],
) {
    // A few rows at a time across all panels: one panel at a time would fetch a new, distant cache line for each row.
    for from in (0..k).step_by(CHUNK) {
        for (at, (panel, nonzero)) in panels.chunks_exact_mut(slot).zip(&mut *nonzero).enumerate() {
            let mut marks = 0;
            for p in from..k.min(from + CHUNK) {
                // Row strides are too long for the hardware prefetcher.
                b.prefetch(p + CHUNK, at * width);
                let row = &b.values[p * b.strides.0 + at * width..][..width];
                panel[p * width..][..width].copy_from_slice(row);
                let zero = row.iter().fold(0, |marks, value| marks | value.mark()) == 0;
                marks |= u8::from(!zero) << (p - from);
            }
            nonzero.push_chunk(from, marks);
        }
    }
}

/// Packs a micro-panel of `width` columns of `b`, whose columns are contiguous; `panel` is `[k, width]`.
#[inline(always)]
fn pack_transposed_panel<T: Lanes, S: Simd>(
    simd: S,
    b: Matrix<'_, T>,
    width: usize,
    panel: &mut [T],
    nonzero: &mut NonZeroK,
) {
    let k = panel.len() / width;
    let column = |col: usize| &b.values[col * b.strides.1..][..k];
    let blocks = if width.is_multiple_of(CHUNK) { k / CHUNK } else { 0 };
    for col in (0..if blocks > 0 { width } else { 0 }).step_by(CHUNK) {
        let mut columns = [&[] as &[[T; CHUNK]]; CHUNK];
        for (at, chunks) in columns.iter_mut().enumerate() {
            *chunks = &column(col + at).as_chunks().0[..blocks];
        }
        for (at, rows) in panel.chunks_exact_mut(CHUNK * width).take(blocks).enumerate() {
            // Columns are too short for the hardware prefetcher.
            (0..CHUNK).for_each(|next| b.prefetch(at * CHUNK, col + CHUNK + next));
            let block = transposed(simd, columns.map(|column| column[at]));
            for (row, values) in rows.chunks_exact_mut(width).zip(block) {
                row[col..][..CHUNK].copy_from_slice(&values);
            }
        }
    }
    for p in blocks * CHUNK..k {
        for col in 0..width {
            panel[p * width + col] = column(col)[p];
        }
    }
    nonzero.push_all(0..k);
}
