//! Some columns of a value: the mean out of `[mean | logvar]`.

use super::*;

/// `y[r, c] = x[r, start + c]` for `c < count`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Narrow {
    /// The first column taken.
    pub start: usize,
    /// How many are taken.
    pub count: usize,
}

impl Operation for Narrow {
    const NAME: &'static str = "narrow";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(Self::NAME, inputs)?;
        if self.count == 0 || self.start + self.count > x.cols() {
            return graph_error(format!(
                "narrow: x is {x}, columns {}..{} are asked for: they must lie inside",
                self.start,
                self.start + self.count
            ));
        }
        Ok(match x.extents() {
            &[batch, height, width, _] => Shape::of([batch, height, width, self.count]),
            _ => Shape::new(x.rows(), self.count),
        })
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        parallel_rows(outputs[0], self.count, #[inline(always)] |row, y| {
            y.copy_from_slice(&inputs[0].row(row)[self.start..][..self.count]);
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let x = back.shape(back.inputs[0]);
        if self.start > 0 {
            return back.none(Self::NAME, "no trained model needs that of columns behind others");
        }
        let others = Constant::new(0.0, Shape::new(1, x.cols() - self.count));
        let others = back.apply(others, &[])?;
        Ok(vec![Some(back.apply(Concat, &[back.d_output, others])?)])
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::elementwise(fragment!("elementwise/narrow.wgsl"), output.len())
            .constant("COLS", inputs[0].cols())
            .constant("START", self.start)
            .constant("TAKEN", self.count)
    }

    fn cases() -> Vec<Case> {
        let of = |x: Shape, start, count| Case::new(Narrow { start, count }, 1, &[(x, Fill::Normal)]);
        let sizes = [([1, 2], 1, 1), ([63, 130], 65, 65), ([16, 40], 0, 20)];
        let rows = sizes.map(|(size, start, count)| of(size.into(), start, count));
        rows.into_iter().chain([of(Shape::of([3, 5, 7, 6]), 0, 2)]).collect()
    }
}
