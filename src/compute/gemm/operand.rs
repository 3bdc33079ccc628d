//! Operands: stored matrices, and rows that are computed as they are packed (the patches of a convolution, say).

use crate::compute::simd::Lanes;
use crate::unchecked::prefetch;

/// Operand A `[m, k]` or B `[k, n]`.
#[derive(Clone, Copy)]
pub(crate) enum Operand<'a, T> {
    /// Read from memory.
    Dense(Matrix<'a, T>),
    /// Computed row by row.
    Computed(Computed<'a, T>),
}

/// An operand whose `fill(row, col, values)` computes the elements of a row from `col` on. Each is asked for once for every
/// packing: of B once, of A once for each block of columns of C.
#[derive(Clone, Copy)]
pub(crate) struct Computed<'a, T> {
    fill: &'a (dyn Fn(usize, usize, &mut [T]) + Sync),
    at: (usize, usize),
}

impl<'a, T> Computed<'a, T> {
    pub(crate) fn new(fill: &'a (dyn Fn(usize, usize, &mut [T]) + Sync)) -> Computed<'a, T> {
        Computed { fill, at: (0, 0) }
    }

    /// Fills rows of `cols` elements each, one after another.
    pub(super) fn fill_rows(&self, cols: usize, rows: &mut [T]) {
        for (row, values) in rows.chunks_exact_mut(cols).enumerate() {
            (self.fill)(self.at.0 + row, self.at.1, values);
        }
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
            Operand::Computed(Computed { fill, at }) => {
                Operand::Computed(Computed { fill, at: (at.0 + row, at.1 + col) })
            }
        }
    }

    /// Whether its columns lie side by side in memory, not its rows.
    pub(super) fn is_transposed(&self) -> bool {
        matches!(self, Operand::Dense(matrix) if matrix.strides.1 != 1)
    }

    pub(super) fn holds(&self, rows: usize, cols: usize) -> bool {
        match self {
            Operand::Dense(matrix) => matrix.holds(rows, cols),
            Operand::Computed(_) => true,
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
