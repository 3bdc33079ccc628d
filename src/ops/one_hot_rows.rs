//! Unit vectors, one below the other: the seed with which one backward pass gives a whole Jacobian.
//!
//! Where each example's row stands `count` times ([`RepeatInterleave`]) before a network of `count` outputs, differentiating
//! the network's value with this seed gives, in row `r count + i`, the gradient of output `i` for example `r`.

use super::*;

/// `y[r, c] = 1` where `c = r mod count`, else 0; no input, value `[groups count, count]`: `groups` identity matrices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneHotRows {
    /// Columns, and rows of each group.
    pub count: usize,
    /// How many identity matrices stand below each other.
    pub groups: usize,
}

impl Operation for OneHotRows {
    const NAME: &'static str = "one_hot_rows";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [] = arity(Self::NAME, inputs)?;
        if self.count == 0 || self.groups == 0 {
            let (count, groups) = (self.count, self.groups);
            return graph_error(format!("one_hot_rows: count is {count}, groups is {groups}: both must be at least 1"));
        }
        Ok(Shape::new(self.groups * self.count, self.count))
    }

    fn reference<T: Real>(&self, _: &Step, _: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        parallel_rows(outputs[0], self.count, #[inline(always)] |row, y| {
            y.fill(T::zero());
            y[row % self.count] = T::one();
        });
    }

    fn gradient(&self, _: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(Vec::new())
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::elementwise(fragment!("elementwise/one_hot_rows.wgsl"), output.len()).constant("COLS", output.cols())
    }

    fn cases() -> Vec<Case> {
        [[1, 1], [1, 65], [65, 3], [20, 128]]
            .map(|[count, groups]| Case::new::<Shape>(OneHotRows { count, groups }, 1, &[]))
            .to_vec()
    }
}
