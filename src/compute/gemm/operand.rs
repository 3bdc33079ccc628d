//! Operands: stored matrices; and matrices that are not stored, such as the patches of a convolution: computed as they are packed, or
//! runs of other memory.

use super::KC;
use crate::compute::simd::Lanes;
use crate::unchecked::prefetch;

/// Operand A `[m, k]` or B `[k, n]`.
#[derive(Clone, Copy)]
pub(crate) enum Operand<'a, T> {
    /// Read from memory.
    Dense(Matrix<'a, T>),
    /// Computed as it is packed.
    Computed(Computed<'a, T>),
    /// Pieces of memory.
    Runs(Runs<'a, T>),
}

/// Computes elements of a matrix, those of `count` rows or columns from `(row, col)` on: `(row, col, count, to)`.
type Fill<'a, T> = &'a (dyn Fn(usize, usize, usize, &mut [T]) + Sync);

/// An operand that is computed. Each element is asked for once for every packing: of B once, of A once for each block of
/// columns of C.
#[derive(Clone, Copy)]
pub(crate) struct Computed<'a, T> {
    fill: Fill<'a, T>,
    pub(super) order: Order,
    at: (usize, usize),
}

/// The order in which elements are computed.
#[derive(Clone, Copy)]
pub(super) enum Order {
    /// One row after another, of `count` columns each; of B alone.
    Rows,
    /// One column after another, of `count` rows each.
    Columns,
}

impl<'a, T> Computed<'a, T> {
    /// An operand B whose elements are computed row by row.
    pub(crate) fn by_rows(fill: Fill<'a, T>) -> Computed<'a, T> {
        Computed { fill, order: Order::Rows, at: (0, 0) }
    }

    /// An operand whose elements are computed column by column, a few rows at a time.
    pub(crate) fn by_columns(fill: Fill<'a, T>) -> Computed<'a, T> {
        Computed { fill, order: Order::Columns, at: (0, 0) }
    }

    /// Computes elements from this row on, of so many rows or columns, in its order.
    #[inline(always)]
    pub(super) fn fill(&self, row: usize, count: usize, to: &mut [T]) {
        (self.fill)(self.at.0 + row, self.at.1, count, to);
    }
}

/// Says where runs begin: `(row, run, runs, to)` those of `runs` runs from number `run` on, of as many rows as `to` holds, one after
/// another.
type Find<'a> = &'a (dyn Fn(usize, usize, usize, &mut [usize]) + Sync);

/// An operand whose rows are runs of `len` elements each, anywhere in `values`; as A it is read there, never packed. A run that
/// begins beyond the values is all zeros.
#[derive(Clone, Copy)]
pub(crate) struct Runs<'a, T> {
    values: &'a [T],
    len: usize,
    find: Find<'a>,
    at: (usize, usize),
}

/// Least length of a run: shorter ones are found more slowly than copied.
const RUN_MIN: usize = 16;
/// A run of zeros, of either type.
static ZEROS: [u64; 2048] = [0; 2048];
/// Most runs that a k-block has a part of.
const RUNS_MAX: usize = KC / RUN_MIN + 1;

/// Where a micro-panel's runs are.
pub(super) struct RunPanel<'a, T, const MR: usize> {
    /// Each run, of all rows.
    runs: [[&'a [T]; MR]; RUNS_MAX],
    count: usize,
}

impl<'a, T: Lanes, const MR: usize> RunPanel<'a, T, MR> {
    pub(super) fn empty() -> Self {
        RunPanel { runs: [[&[]; MR]; RUNS_MAX], count: 0 }
    }

    /// Sets it to one run of each row.
    #[inline(always)]
    pub(super) fn set_rows(&mut self, rows: [&'a [T]; MR]) {
        (self.runs[0], self.count) = (rows, 1);
    }

    /// Each run, of all rows: these are of one length.
    #[inline(always)]
    pub(super) fn runs(&self) -> &[[&'a [T]; MR]] {
        &self.runs[..self.count]
    }
}

impl<'a, T: Lanes> Runs<'a, T> {
    /// Whether runs can be of this length.
    pub(crate) fn takes(len: usize) -> bool {
        (RUN_MIN..=ZEROS.len()).contains(&len)
    }

    /// # Panics
    /// Where runs can't be of this length.
    pub(crate) fn new(values: &'a [T], len: usize, find: Find<'a>) -> Runs<'a, T> {
        assert!(Self::takes(len), "runs are neither too short nor too long");
        Runs { values, len, find, at: (0, 0) }
    }

    /// How many runs have a part in the first `k` elements of a row.
    #[inline(always)]
    fn count(&self, k: usize) -> usize {
        (self.at.1 % self.len + k).div_ceil(self.len)
    }

    /// The runs that begin at these places, cut to the first `k` elements of a row.
    #[inline(always)]
    fn cut<'r>(&self, found: &[usize], k: usize, runs: impl Iterator<Item = &'r mut &'a [T]>)
    where
        'a: 'r,
    {
        let (len, mut within, mut left) = (self.len, self.at.1 % self.len, k);
        for (run, &at) in runs.zip(found) {
            let whole = match self.values.get(at..) {
                Some(values) => &values[..len],
                None => &bytemuck::cast_slice(&ZEROS)[..len],
            };
            *run = &whole[within..len.min(within + left)];
            (left, within) = (left - run.len(), 0);
        }
    }

    /// Sets `panel` to the runs of the next `MR` rows, of `k` elements.
    #[inline(always)]
    pub(super) fn find_panel<const MR: usize>(&self, k: usize, panel: &mut RunPanel<'a, T, MR>) {
        panel.count = self.count(k);
        let mut found = [[0; RUNS_MAX]; MR];
        let found = &mut found.as_flattened_mut()[..MR * panel.count];
        (self.find)(self.at.0, self.at.1 / self.len, panel.count, found);
        for (row, found) in found.chunks_exact(panel.count).enumerate() {
            let runs = panel.runs.iter_mut().map(
                #[inline(always)]
                |run| &mut run[row],
            );
            self.cut(found, k, runs);
        }
    }

    /// Calls `f` for each of so many rows, with its number and the runs of its first `cols` elements.
    #[inline(always)]
    pub(super) fn each_row(&self, rows: usize, cols: usize, mut f: impl FnMut(usize, &[&'a [T]])) {
        /// Rows that are found at once.
        const ROWS: usize = 16;
        let (mut runs, mut found) = ([&[] as &[T]; RUNS_MAX], [[0; RUNS_MAX]; ROWS]);
        let count = self.count(cols);
        for first in (0..rows).step_by(ROWS) {
            let found = &mut found.as_flattened_mut()[..ROWS.min(rows - first) * count];
            (self.find)(self.at.0 + first, self.at.1 / self.len, count, found);
            for (row, found) in found.chunks_exact(count).enumerate() {
                self.cut(found, cols, runs.iter_mut());
                f(first + row, &runs[..count]);
            }
        }
    }
}

impl<'a, T> From<Runs<'a, T>> for Operand<'a, T> {
    fn from(runs: Runs<'a, T>) -> Operand<'a, T> {
        Operand::Runs(runs)
    }
}

impl<'a, T> From<Matrix<'a, T>> for Operand<'a, T> {
    fn from(matrix: Matrix<'a, T>) -> Operand<'a, T> {
        Operand::Dense(matrix)
    }
}

impl<'a, T> From<Computed<'a, T>> for Operand<'a, T> {
    fn from(computed: Computed<'a, T>) -> Operand<'a, T> {
        Operand::Computed(computed)
    }
}

impl<T: Lanes> Operand<'_, T> {
    /// The part from this row and column on.
    pub(super) fn from(self, row: usize, col: usize) -> Self {
        match self {
            Operand::Dense(matrix) => Operand::Dense(matrix.from(row, col)),
            Operand::Computed(computed) => {
                Operand::Computed(Computed { at: (computed.at.0 + row, computed.at.1 + col), ..computed })
            }
            Operand::Runs(runs) => Operand::Runs(Runs { at: (runs.at.0 + row, runs.at.1 + col), ..runs }),
        }
    }

    /// Whether its columns lie side by side in memory, not its rows.
    pub(super) fn is_transposed(&self) -> bool {
        matches!(self, Operand::Dense(matrix) if matrix.strides.1 != 1)
    }

    pub(super) fn holds(&self, rows: usize, cols: usize) -> bool {
        match self {
            Operand::Dense(matrix) => matrix.holds(rows, cols),
            Operand::Computed(_) | Operand::Runs(_) => true,
        }
    }
}

/// A stored operand: its elements, and its strides `(row, col)` in elements, one of which is 1.
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

    /// The submatrix from this row and column on.
    pub(super) fn from(self, row: usize, col: usize) -> Matrix<'a, T> {
        Matrix { values: &self.values[row * self.strides.0 + col * self.strides.1..], ..self }
    }

    /// Prefetches the cache line of an element, which may lie beyond the matrix.
    #[inline(always)]
    pub(super) fn prefetch(self, row: usize, col: usize) {
        prefetch(self.values, row * self.strides.0 + col * self.strides.1);
    }

    fn holds(&self, rows: usize, cols: usize) -> bool {
        (rows - 1) * self.strides.0 + (cols - 1) * self.strides.1 < self.values.len()
    }
}
