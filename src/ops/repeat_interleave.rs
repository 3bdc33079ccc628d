//! Each row several times over, and the sum over such groups of rows: several samples or derivatives of one example.

use super::*;

/// `y[r count + i, c] = x[r, c]` for `i < count`: input `[batch, cols]`, value `[batch count, cols]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RepeatInterleave {
    /// How often each row is repeated.
    pub count: usize,
}

impl Operation for RepeatInterleave {
    const NAME: &'static str = "repeat_interleave";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(Self::NAME, inputs)?;
        if self.count == 0 {
            return graph_error(format!("repeat_interleave: x is {x}, count is 0: each row must be repeated at least once"));
        }
        Ok(Shape::new(x.rows() * self.count, x.cols()))
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let x = inputs[0];
        parallel_rows(outputs[0], x.shape.cols(), #[inline(always)] |row, y| y.copy_from_slice(x.row(row / self.count)));
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(back.apply(SegmentSum { count: self.count }, &[back.d_output])?)])
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::elementwise(fragment!("elementwise/repeat_interleave.wgsl"), output.len())
            .constant("COLS", output.cols())
            .constant("REPEATS", self.count)
    }

    fn cases() -> Vec<Case> {
        [([1, 1], 1), ([13, 65], 5), ([3, 131], 64), ([65, 1], 7)]
            .map(|(size, count)| Case::new(RepeatInterleave { count }, 1, &[(size, Fill::Normal)]))
            .to_vec()
    }
}

/// `y[r, c] = sum_{i < count} x[r count + i, c]`, in the order of the rows: input `[batch count, cols]`, value
/// `[batch, cols]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SegmentSum {
    /// Rows of a group.
    pub count: usize,
}

impl Operation for SegmentSum {
    const NAME: &'static str = "segment_sum";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(Self::NAME, inputs)?;
        Ok(Shape::new(groups_of(Self::NAME, x, self.count)?, x.cols()))
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let x = inputs[0];
        parallel_rows(outputs[0], x.shape.cols(), #[inline(always)] |group, sums| {
            sums.fill(T::zero());
            for i in 0..self.count {
                for (sum, &x) in sums.iter_mut().zip(x.row(group * self.count + i)) {
                    *sum = *sum + x;
                }
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(back.apply(RepeatInterleave { count: self.count }, &[back.d_output])?)])
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::elementwise(fragment!("elementwise/segment_sum.wgsl"), output.len())
            .constant("COLS", output.cols())
            .constant("GROUP", self.count)
    }

    fn cases() -> Vec<Case> {
        [([1, 1], 1), ([65, 65], 5), ([192, 31], 64), ([455, 1], 7)]
            .map(|(size, count)| Case::new(SegmentSum { count }, count, &[(size, Fill::Normal)]))
            .to_vec()
    }
}

/// How many groups of `count` consecutive rows `x` has.
pub(super) fn groups_of(name: &str, x: Shape, count: usize) -> Result<usize> {
    if count == 0 || !x.rows().is_multiple_of(count) {
        return graph_error(format!("{name}: x is {x}, a group is {count} rows: groups must fill the rows exactly"));
    }
    Ok(x.rows() / count)
}
