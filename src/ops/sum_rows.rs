//! The sum over rows: a bias's gradient.

use super::*;

/// `y[c] = sum_r x[r, c]`, in the order of the rows: value `[cols]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SumRows;

impl Operation for SumRows {
    const NAME: &'static str = "sum_rows";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(Self::NAME, inputs)?;
        Ok(Shape::of([x.cols()]))
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        /// Columns a thread takes at a time, and elements from which handing them to others pays.
        const COLUMNS: usize = 128;
        const SHARED_FROM: usize = 1 << 15;
        let x = inputs[0];
        let columns = if x.values.len() < SHARED_FROM { x.shape.cols() } else { COLUMNS };
        parallel_for(outputs[0].chunks_mut(columns).enumerate(), |(part, sums)| {
            vectorised(#[inline(always)] || {
                sums.fill(T::zero());
                for r in 0..x.shape.rows() {
                    for (sum, &x) in sums.iter_mut().zip(&x.row(r)[part * columns..]) {
                        *sum = *sum + x;
                    }
                }
            });
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        // sum_r x[r, c] = 1^T x, so d_x = 1 d_y: the product of a column of ones and a row.
        let rows = back.shape(back.inputs[0]).rows();
        let ones = back.apply(Constant::new(1.0, Shape::new(rows, 1)), &[])?;
        Ok(vec![Some(back.apply(Matmul::new(Transpose::Neither), &[ones, back.d_output])?)])
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let fragments = vec![fragment!("reduce/sum_rows.wgsl"), fragment!("common/tree.wgsl")];
        Kernel::new(fragments, Entry::Run, REDUCTION, Grid::Rows(output.cols().div_ceil(MIN_WORKGROUP)))
            .constant("ROWS", inputs[0].rows())
            .constant("COLS", output.cols())
    }

    fn may_share(&self) -> bool {
        true
    }

    fn cases() -> Vec<Case> {
        [[1, 1], [64, 63], [128, 784], [131, 65]]
            .map(|size| Case::new(SumRows, size[0], &[(size, Fill::Normal)]))
            .to_vec()
    }
}
