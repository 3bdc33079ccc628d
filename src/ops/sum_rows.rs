//! The sum over rows: a bias's gradient.

use super::*;
use crate::compute::scratch;

/// `y[c] = sum_r x[r, c]`: value `[cols]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SumRows;

/// Rows of a block on the CPU.
const BLOCK: usize = 1024;
/// Least rows of a part on a GPU, where many rows are shared out among workgroups.
const PART_MIN_ROWS: usize = 4096;
/// Most rows of a part, of which each of a workgroup's lines takes an eighth: Mesa's software drivers end loops after 65,535 rounds.
const PART_MAX_ROWS: usize = 1 << 18;
/// The binding behind those of input and output.
const SCRATCH: usize = 3;

/// Sums each of `cols` columns, on several threads where there are many.
fn sum_columns<T: Real>(x: &[T], cols: usize, sums: &mut [T]) {
    /// Columns a thread takes at a time, and elements from which handing them to others pays.
    const COLUMNS: usize = 128;
    const SHARED_FROM: usize = 1 << 15;
    let columns = if x.len() < SHARED_FROM { cols } else { COLUMNS };
    parallel_for(sums.chunks_mut(columns).enumerate(), |(part, sums)| {
        vectorised(#[inline(always)] || add_rows(x, cols, part * columns, sums));
    });
}

/// The sums of columns from `first` on.
#[inline(always)]
fn add_rows<T: Real>(x: &[T], cols: usize, first: usize, sums: &mut [T]) {
    sums.fill(T::zero());
    for row in x.chunks_exact(cols) {
        for (sum, &x) in sums.iter_mut().zip(&row[first..]) {
            *sum = *sum + x;
        }
    }
}

impl Operation for SumRows {
    const NAME: &'static str = "sum_rows";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(Self::NAME, inputs)?;
        Ok(Shape::of([x.cols()]))
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let x = inputs[0];
        let (rows, cols) = (x.shape.rows(), x.shape.cols());
        if rows <= BLOCK {
            return sum_columns(x.values, cols, outputs[0]);
        }
        // Blocks of rows, and the sum of their sums: shorter chains of additions round less.
        scratch(rows.div_ceil(BLOCK) * cols, |sums| {
            parallel_for(sums.chunks_mut(cols).zip(x.values.chunks(BLOCK * cols)), |(sums, rows)| {
                vectorised(#[inline(always)] || add_rows(rows, cols, 0, sums));
            });
            sum_columns(sums, cols, outputs[0]);
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        // sum_r x[r, c] = 1^T x, so d_x = 1 d_y: the product of a column of ones and a row.
        let rows = back.shape(back.inputs[0]).rows();
        let ones = back.apply(Constant::new(1.0, Shape::new(rows, 1)), &[])?;
        Ok(vec![Some(back.apply(Matmul::new(Transpose::Neither), &[ones, back.d_output])?)])
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, profile: &DeviceProfile) -> Kernel {
        let (rows, cols) = (inputs[0].rows(), output.cols());
        let blocks = cols.div_ceil(MIN_WORKGROUP);
        // Sums of parts, from one binding to another.
        let sums = |rows: usize, part_rows: usize, from: usize, to: usize| {
            let fragments = vec![fragment!("reduce/sum_rows.wgsl"), fragment!("common/tree.wgsl")];
            let grid = Grid::Rows(blocks * rows.div_ceil(part_rows));
            let kernel = Kernel::new(fragments, Entry::Run, REDUCTION, grid).constant("ROWS", rows).constant("COLS", cols);
            kernel.constant("PART_ROWS", part_rows).binding("SUMMED", from).binding("SUMS", to)
        };
        match profile.parts(blocks, rows, rows / PART_MIN_ROWS, PART_MAX_ROWS) {
            1 => sums(rows, rows, 1, 2),
            parts => {
                let then = Box::new(sums(parts, parts, SCRATCH, 2));
                sums(rows, rows.div_ceil(parts), 1, SCRATCH).scratch(Scratch { words: parts * cols, then })
            }
        }
    }

    fn may_share(&self) -> bool {
        true
    }

    fn cases() -> Vec<Case> {
        // Many rows are shared out, with the loops of software adapters too short for the last ones'.
        [[1, 1], [64, 63], [128, 784], [131, 65], [2500, 3], [9000, 17], [600_000, 3]]
            .map(|size| Case::new(SumRows, size[0], &[(size, Fill::Normal)]))
            .to_vec()
    }
}
