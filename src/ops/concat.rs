//! Columns of a value, and behind them those of another: an example's condition behind its image or its code.

use super::*;

/// `y[.., c] = x[.., c]`, and behind them the columns of `given`: `x` is `[batch, .., cols]`, `given` `[rows, width]`, the value
/// `[batch, .., cols + width]`. Where `x` has more rows than `given`, as pixels or as several samples an example, each of
/// `given` stands for as many that follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Concat;

impl Operation for Concat {
    const NAME: &'static str = "concat";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x, given] = arity(Self::NAME, inputs)?;
        if !x.rows().is_multiple_of(given.rows()) {
            return graph_error(format!(
                "concat: x is {x}, given is {given}: the rows of x must be a multiple of those of given"
            ));
        }
        let mut extents = x.extents().to_vec();
        if let Some(cols) = extents.last_mut() {
            *cols += given.cols();
        }
        match extents[..] {
            [rows, cols] => Ok(Shape::new(rows, cols)),
            [batch, height, width, channels] => Ok(Shape::of([batch, height, width, channels])),
            _ => graph_error(format!("concat: x is {x}: it must be rows or images")),
        }
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (x, given) = (inputs[0], inputs[1]);
        let (cols, each) = (x.shape.cols(), x.shape.rows() / given.shape.rows());
        parallel_rows(outputs[0], cols + given.shape.cols(), #[inline(always)] |row, y| {
            let (own, behind) = y.split_at_mut(cols);
            own.copy_from_slice(x.row(row));
            behind.copy_from_slice(given.row(row / each));
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        if back.wanted[1] {
            return back.none(Self::NAME, "what is given is data");
        }
        let count = back.shape(back.inputs[0]).cols();
        Ok(vec![Some(back.apply(Narrow { start: 0, count }, &[back.d_output])?), None])
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let (x, given) = (inputs[0], inputs[1]);
        Kernel::elementwise(fragment!("elementwise/concat.wgsl"), output.len())
            .constant("COLS", x.cols())
            .constant("WIDTH", given.cols())
            .constant("EACH", x.rows() / given.rows())
    }

    fn cases() -> Vec<Case> {
        let of = |x: Shape, given: [usize; 2]| {
            Case::new(Concat, 1, &[(x, Fill::Normal), (Shape::of(given), Fill::Normal)])
        };
        vec![
            of(Shape::new(1, 1), [1, 1]),
            of(Shape::new(63, 130), [63, 10]),
            of(Shape::new(60, 3), [12, 65]),
            of(Shape::of([3, 5, 7, 2]), [3, 4]),
        ]
    }
}
