//! Average and maximum pooling of images `[batch, height, width, channels]`, as PyTorch's `nn.AvgPool2d` and `nn.MaxPool2d` do
//! it, with their gradients.
//!
//! A gradient gathers on a GPU, an invocation an element of x over the windows that cover it; on the CPU it scatters an image
//! at a time. Neither depends on the order in which threads run.

use super::*;
use crate::compute::scratch;
use std::ops::Range;

/// What a window becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The mean of its elements, those outside the image being 0.
    Average,
    /// The largest of its elements in the image; what is not a number counts as larger than any.
    Max,
}

/// `y[n, oy, ox, c]` = the mean or the maximum of the window at `(oy, ox)` of channel c of image n.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pool {
    /// What a window becomes.
    pub kind: Pooling,
    /// The window.
    pub window: Window2d,
}

impl Operation for Pool {
    const NAME: &'static str = "pool";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(Self::NAME, inputs)?;
        positions(Self::NAME, self.kind, self.window, x)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let at = Extents::of(self.window, inputs[0].shape);
        parallel_rows(outputs[0], at.out_width * at.channels, #[inline(always)] |row, y| {
            let image = at.image(inputs[0].values, row / at.out_height);
            match self.kind {
                Pooling::Average => at.average_row(image, row % at.out_height, y),
                Pooling::Max => at.max_row(image, row % at.out_height, y),
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let (x, window) = (back.inputs[0], self.window);
        let d_x = match self.kind {
            Pooling::Average => {
                let [_, height, width, _] = images_of(Self::NAME, "x", back.shape(x))?;
                back.apply(AveragePoolGradient { window, size: [height, width] }, &[back.d_output])?
            }
            Pooling::Max => back.apply(MaxPoolGradient { window }, &[x, back.d_output])?,
        };
        Ok(vec![Some(d_x)])
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let element = match self.kind {
            Pooling::Average => fragment!("pool/average.wgsl"),
            Pooling::Max => fragment!("pool/max.wgsl"),
        };
        Extents::of(self.window, inputs[0]).link(Kernel::of_values(element, output.len(), 1).loading_x())
    }

    fn is_activation(&self) -> bool {
        true
    }

    fn loads_half(&self, input: usize) -> bool {
        input == 0
    }

    fn cases() -> Vec<Case> {
        let mut cases = Vec::new();
        for (kind, window, shape) in pooled() {
            cases.push(Case::new(Pool { kind, window }, window.kernel * window.kernel, &[(shape, Fill::Normal)]));
        }
        cases
    }
}

/// The gradient of the mean: `d_x[n, y, x, c] = sum d_y[n, oy, ox, c] / kernel^2` over the windows that cover the element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AveragePoolGradient {
    /// The window.
    pub window: Window2d,
    /// `[height, width]` of x.
    pub size: [usize; 2],
}

impl Operation for AveragePoolGradient {
    const NAME: &'static str = "average_pool_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [d_y] = arity(Self::NAME, inputs)?;
        let [batch, _, _, channels] = images_of(Self::NAME, "d_y", d_y)?;
        let [height, width] = self.size;
        let x = Shape::of([batch, height, width, channels]);
        same(Self::NAME, ["d_y", "y"], d_y, positions(Self::NAME, Pooling::Average, self.window, x)?)?;
        Ok(x)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let d_y = inputs[0];
        let [height, width] = self.size;
        let channels = d_y.shape.cols();
        let at = Extents::of(self.window, Shape::of([d_y.shape.extents()[0], height, width, channels]));
        parallel_rows(outputs[0], height * width * channels, #[inline(always)] |image, d_x| {
            d_x.fill(T::zero());
            for oy in 0..at.out_height {
                let d_y = at.row_of_positions(d_y.values, image, oy);
                for (row, col) in at.taps(oy) {
                    let d_x = at.row_mut(d_x, row);
                    for (to, from, len) in at.spans(col) {
                        for (d_x, &d_y) in d_x[from..][..len].iter_mut().zip(&d_y[to..][..len]) {
                            *d_x = *d_x + d_y;
                        }
                    }
                }
            }
            let share = at.share();
            d_x.iter_mut().for_each(|d_x| *d_x = *d_x * share);
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(back.apply(Pool { kind: Pooling::Average, window: self.window }, &[back.d_output])?)])
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let kernel = Kernel::elementwise(fragment!("pool/average_gradient.wgsl"), output.len());
        Extents::of(self.window, output).link(kernel)
    }

    fn cases() -> Vec<Case> {
        let averages = pooled().into_iter().filter(|(kind, ..)| *kind == Pooling::Average);
        averages
            .map(|(kind, window, x)| {
                let op = AveragePoolGradient { window, size: [x.extents()[1], x.extents()[2]] };
                let d_y = positions(Self::NAME, kind, window, x).expect("the cases fit");
                Case::new(op, window.kernel * window.kernel, &[(d_y, Fill::Normal)])
            })
            .collect()
    }
}

/// The gradient of the maximum: d_x has the sum of d_y over the windows whose maximum an element is, the first one row by row.
/// Inputs x and d_y.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxPoolGradient {
    /// The window.
    pub window: Window2d,
}

impl Operation for MaxPoolGradient {
    const NAME: &'static str = "max_pool_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x, d_y] = arity(Self::NAME, inputs)?;
        same(Self::NAME, ["d_y", "y"], d_y, positions(Self::NAME, Pooling::Max, self.window, x)?)?;
        Ok(x)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (x, d_y) = (inputs[0], inputs[1]);
        let at = Extents::of(self.window, x.shape);
        parallel_rows(outputs[0], at.height * at.width * at.channels, #[inline(always)] |image, d_x| {
            let x = at.image(x.values, image);
            d_x.fill(T::zero());
            scratch(at.out_width * at.channels, #[inline(always)] |most: &mut [T]| {
                for oy in 0..at.out_height {
                    at.max_row(x, oy, most);
                    let d_y = at.row_of_positions(d_y.values, image, oy);
                    for (row, col) in at.taps(oy) {
                        let (x, d_x) = (at.row(x, row), at.row_mut(d_x, row));
                        for (to, from, len) in at.spans(col) {
                            let positions = most[to..][..len].iter_mut().zip(&d_y[to..][..len]);
                            let pixels = d_x[from..][..len].iter_mut().zip(&x[from..][..len]);
                            for ((most, &d_y), (d_x, &x)) in positions.zip(pixels) {
                                let found = x == *most;
                                *d_x = *d_x + if found { d_y } else { T::zero() };
                                // Equal to nothing: a later element gets no share.
                                *most = if found { T::nan() } else { *most };
                            }
                        }
                    }
                }
            });
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative, a gather of the maxima's elements, is not implemented")
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let kernel = Kernel::elementwise(fragment!("pool/max_gradient.wgsl"), output.len()).loading_x();
        Extents::of(self.window, inputs[0]).link(kernel)
    }

    fn loads_half(&self, input: usize) -> bool {
        input == 0
    }

    fn cases() -> Vec<Case> {
        let maxima = pooled().into_iter().filter(|(kind, ..)| *kind == Pooling::Max);
        maxima
            .flat_map(|(kind, window, x)| {
                let d_y = positions(Self::NAME, kind, window, x).expect("the cases fit");
                // Of few values several are the largest.
                [Fill::Normal, Fill::Few].map(|fill| {
                    let inputs = [(x, fill), (d_y, Fill::Normal)];
                    Case::new(MaxPoolGradient { window }, window.kernel * window.kernel, &inputs)
                })
            })
            .collect()
    }
}

/// The shape of the pooled images, or why the window does not suit them.
fn positions(name: &str, kind: Pooling, window: Window2d, x: Shape) -> Result<Shape> {
    let [height, width] = window.over(name, x)?;
    if kind == Pooling::Average && window.dilation != 1 {
        return graph_error(format!("{name}: dilation is {}: an average's must be 1", window.dilation));
    }
    if 2 * window.padding > window.reach() {
        return graph_error(format!(
            "{name}: padding is {}, the kernel reaches over {}: padding must be at most half of that",
            window.padding,
            window.reach()
        ));
    }
    Ok(Shape::of([x.extents()[0], height, width, x.cols()]))
}

/// What the three are tested on.
fn pooled() -> Vec<(Pooling, Window2d, Shape)> {
    let (two, three) = (Window2d::new(2).stride(2), Window2d::new(3));
    let (mut cases, halving) = (Vec::new(), three.stride(2).padding(1));
    for kind in [Pooling::Average, Pooling::Max] {
        for (window, extents) in [
            (Window2d::new(1), [1, 1, 1, 1]),
            (two, [3, 8, 6, 16]),
            (two, [2, 7, 9, 3]),
            (halving, [2, 9, 8, 5]),
            (three.padding(1), [1, 11, 13, 2]),
            (three.stride(4), [2, 12, 9, 3]),
            (Window2d::new(5).stride(2).padding(2), [2, 5, 7, 1]),
            (two, [4, 32, 32, 33]),
        ] {
            cases.push((kind, window, Shape::of(extents)));
        }
    }
    cases.push((Pooling::Max, three.dilation(2).padding(2), Shape::of([2, 9, 7, 3])));
    cases.push((Pooling::Max, two.dilation(3).padding(1), Shape::of([2, 10, 9, 2])));
    cases
}

/// A window over images, and where its elements are.
#[derive(Clone, Copy, Debug)]
struct Extents {
    window: Window2d,
    height: usize,
    width: usize,
    channels: usize,
    out_height: usize,
    out_width: usize,
}

impl Extents {
    /// Of a window that suits the images x.
    fn of(window: Window2d, x: Shape) -> Extents {
        let &[_, height, width, channels] = x.extents() else { unreachable!("the shape rule asks for images") };
        let [out_height, out_width] = [height, width].map(|extent| window.positions(extent));
        Extents { window, height, width, channels, out_height, out_width }
    }

    fn link(self, kernel: Kernel) -> Kernel {
        let Window2d { kernel: taps, stride, padding, dilation } = self.window;
        kernel
            .link(fragment!("pool/window.wgsl"))
            .constant("HEIGHT", self.height)
            .constant("WIDTH", self.width)
            .constant("CHANNELS", self.channels)
            .constant("OUT_HEIGHT", self.out_height)
            .constant("OUT_WIDTH", self.out_width)
            .constant("KERNEL", taps)
            .constant("STRIDE", stride)
            .constant("PADDING", padding)
            .constant("DILATION", dilation)
    }

    fn image<T>(self, x: &[T], image: usize) -> &[T] {
        let len = self.height * self.width * self.channels;
        &x[image * len..][..len]
    }

    fn row<T>(self, image: &[T], y: usize) -> &[T] {
        &image[y * self.width * self.channels..][..self.width * self.channels]
    }

    fn row_mut<T>(self, image: &mut [T], y: usize) -> &mut [T] {
        &mut image[y * self.width * self.channels..][..self.width * self.channels]
    }

    fn row_of_positions<T>(self, y: &[T], image: usize, oy: usize) -> &[T] {
        let len = self.out_width * self.channels;
        &y[(image * self.out_height + oy) * len..][..len]
    }

    /// The positions along an extent whose window has its tap number `tap` in the image, and what the first of them reads.
    #[inline(always)]
    fn inside(self, tap: usize, extent: usize, positions: usize) -> (Range<usize>, usize) {
        let Window2d { stride, padding, dilation, .. } = self.window;
        let first = padding.saturating_sub(tap * dilation).div_ceil(stride);
        let end = (extent + padding).saturating_sub(tap * dilation).div_ceil(stride).min(positions);
        (first..end.max(first), (first * stride + tap * dilation).saturating_sub(padding))
    }

    /// The image's row and the tap's column of each tap of the windows at `oy`, of rows in the image.
    #[inline(always)]
    fn taps(self, oy: usize) -> impl Iterator<Item = (usize, usize)> {
        let Window2d { kernel, stride, padding, dilation } = self.window;
        let rows = (0..kernel).filter_map(move |tap| (oy * stride + tap * dilation).checked_sub(padding));
        rows.filter(move |&row| row < self.height).flat_map(move |row| (0..kernel).map(move |col| (row, col)))
    }

    /// Runs of elements that a tap's column pairs: the first of a row of positions, that of a row of the image, their number.
    #[inline(always)]
    fn spans(self, tap: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        let (columns, pixel) = self.inside(tap, self.width, self.out_width);
        let (stride, channels) = (self.window.stride, self.channels);
        // Windows that move by one element pair whole rows.
        let (count, len) = match stride {
            1 => (usize::from(!columns.is_empty()), columns.len() * channels),
            _ => (columns.len(), channels),
        };
        (0..count).map(move |i| (columns.start * channels + i * len, (pixel + i * stride) * channels, len))
    }

    /// `1 / kernel^2`
    fn share<T: Real>(self) -> T {
        T::from_f64(1.0 / (self.window.kernel * self.window.kernel) as f64)
    }

    /// The means of a row of positions.
    #[inline(always)]
    fn average_row<T: Real>(self, image: &[T], oy: usize, y: &mut [T]) {
        y.fill(T::zero());
        for (row, col) in self.taps(oy) {
            let x = self.row(image, row);
            for (to, from, len) in self.spans(col) {
                for (y, &x) in y[to..][..len].iter_mut().zip(&x[from..][..len]) {
                    *y = *y + x;
                }
            }
        }
        let share = self.share();
        y.iter_mut().for_each(|y| *y = *y * share);
    }

    /// The maxima of a row of positions.
    #[inline(always)]
    fn max_row<T: Real>(self, image: &[T], oy: usize, y: &mut [T]) {
        y.fill(T::neg_infinity());
        for (row, col) in self.taps(oy) {
            let x = self.row(image, row);
            for (to, from, len) in self.spans(col) {
                for (y, &x) in y[to..][..len].iter_mut().zip(&x[from..][..len]) {
                    *y = if x > *y || x.is_nan() { x } else { *y };
                }
            }
        }
    }
}
