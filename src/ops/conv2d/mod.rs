//! Two-dimensional convolution (cross-correlation, as PyTorch's `nn.Conv2d`), its transpose and its weight gradient.
//!
//! One trilinear form has all three: with images x `[batch, height, width, in]`, a map y `[batch, rows, cols, out]` and weights
//! w `[out, kernel, kernel, in]`,
//!
//! `sum over n, i, j, o, a, b, c of y[n, i, j, o] w[o, a, b, c] x[n, i stride + a dilation - padding, j stride + b dilation - padding, c]`
//!
//! is linear in each; its gradient with respect to y is [`Conv2d`], to x [`ConvTranspose2d`], to w [`Conv2dWeightGradient`]. So
//! the gradient of each is the other two, to any order.
//!
//! Each is a GEMM, one of whose operands is patches that are computed as they are read, never stored: on the CPU as they are
//! packed (`patches.rs`), on a GPU by a loader (`loader.rs`). A transposed convolution of stride s is s x s GEMMs, one for the
//! pixels of each remainder by s, which meet only the taps that reach them: no multiplication by the zeros that a map spread
//! out to the image's size would have. cuDNN's implicit GEMM and cubek's im2col loaders were read for this part; both spread
//! the map.

mod cases;
mod epilogue;
mod loader;
mod patches;

use super::*;
use crate::compute::{Computed, Matrix, RowStrides, gemm_long_k, gemm_spread, gemm_with_epilogue, scratch};
use crate::gemm::Problem;
use cases::{Sizes, sizes};
use epilogue::{finish, finish_lines};
use patches::{FEW, Patches, Phase, Taps};

/// `y[n, i, j, o] = epilogue(sum over a, b, c of w[o, a, b, c] x[n, i stride + a dilation - padding, ..., c])`: inputs x
/// `[batch, height, width, in]` and w `[out, kernel, kernel, in]`, value `[batch, rows, cols, out]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2d {
    /// The kernel's extent and how it moves.
    pub window: Window2d,
    /// What is done to each sum; set by fusion.
    pub epilogue: Epilogue,
}

/// The transpose of [`Conv2d`], as PyTorch's `nn.ConvTranspose2d`: inputs y `[batch, rows, cols, out]` and w
/// `[out, kernel, kernel, in]`, value x `[batch, height, width, in]` of the given size. PyTorch says that size by the output padding
/// beyond [`Window2d::least_extent`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvTranspose2d {
    /// The kernel's extent and how it moves.
    pub window: Window2d,
    /// Height and width of the value, over which the window has as many positions as y.
    pub size: [usize; 2],
    /// What is done to each sum; set by fusion.
    pub epilogue: Epilogue,
}

/// The gradient of both with respect to w: inputs y `[batch, rows, cols, out]` and x `[batch, height, width, in]`, value
/// `[out, kernel, kernel, in]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2dWeightGradient {
    /// The kernel's extent and how it moves.
    pub window: Window2d,
}

impl Conv2d {
    /// A convolution alone.
    pub const fn new(window: Window2d) -> Conv2d {
        Conv2d { window, epilogue: Epilogue::Store }
    }
}

impl ConvTranspose2d {
    /// A transposed convolution alone.
    pub const fn new(window: Window2d, size: [usize; 2]) -> ConvTranspose2d {
        ConvTranspose2d { window, size, epilogue: Epilogue::Store }
    }
}

/// Checks weights for maps of so many channels; the channels of an image.
fn image_channels(name: &str, w: Shape, kernel: usize, channels: usize) -> Result<usize> {
    match *w.extents() {
        [out, height, width, inner] if [out, height, width] == [channels, kernel, kernel] => Ok(inner),
        _ => graph_error(format!(
            "{name}: weights are {w}: they must be [{channels}, {kernel}, {kernel}, channels of the image], the first the \
             channels of the map"
        )),
    }
}

impl ConvTranspose2d {
    /// The row of weights `[out kernel kernel, in]` that belongs to a phase's `tap`-th tap and a channel of the map.
    #[inline(always)]
    fn weights_at(&self, along: [Phase; 2], tap: usize, channel: usize) -> usize {
        let (kernel, across) = (self.window.kernel, along[1].taps.count);
        (channel * kernel + along[0].tap(tap / across)) * kernel + along[1].tap(tap % across)
    }

    /// The weights that a phase's taps are multiplied by, as `[channels of the image, taps, channels of the map]`.
    fn weights_of_few<T: Real>(&self, along: [Phase; 2], w: View<'_, T>, channels: usize, to: &mut [T]) {
        let k = to.len() / w.shape.cols();
        for at in 0..k {
            let row = w.row(self.weights_at(along, at / channels, at % channels));
            for (column, &weight) in row.iter().enumerate() {
                to[column * k + at] = weight;
            }
        }
    }
}

/// Pixels of a phase along an axis of so many.
fn pixels(extent: usize, phase: usize, stride: usize) -> usize {
    extent.saturating_sub(phase).div_ceil(stride)
}

impl Operation for Conv2d {
    const NAME: &'static str = "conv2d";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x, w] = arity(Self::NAME, &inputs[..inputs.len().min(2)])?;
        let [batch, _, _, channels] = images_of(Self::NAME, "x", x)?;
        let [rows, cols] = self.window.over(Self::NAME, x)?;
        let out = w.extents()[0];
        if image_channels(Self::NAME, w, self.window.kernel, out)? != channels {
            return graph_error(format!("conv2d: x is {x}, weights are {w}: their last extents must be equal"));
        }
        epilogue::shape(Self::NAME, self.epilogue, Shape::of([batch, rows, cols, out]), &inputs[2..])
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (x, w, epilogue, more) = (inputs[0], inputs[1], self.epilogue, &inputs[2..]);
        let positions = self.window.over(Self::NAME, x.shape).expect("shapes are checked");
        let patches =
            Patches { images: x, positions, step: self.window.stride, taps: [Taps::of(self.window); 2] };
        let (n, k) = (w.shape.extents()[0], patches.cols());
        if n <= FEW {
            let line = positions[1] * n;
            parallel_for(outputs[0].chunks_mut(line).enumerate(), |(number, sums)| {
                patches.times_few(number * positions[1], w.values, n, sums.chunks_exact_mut(n));
            });
            return finish_lines(epilogue, more, line, outputs[0]);
        }
        let m = outputs[0].len() / n;
        patches.as_operand(|a| {
            gemm_with_epilogue([m, n, k], outputs[0], a, Matrix::transposed(w.values, k), #[inline(always)] |row, col, sums| {
                finish(epilogue, more, row * n + col, col, sums);
            });
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        if self.epilogue != Epilogue::Store {
            return back.none("fused conv2d", "fusion comes after differentiation");
        }
        let (x, w, d) = (back.inputs[0], back.inputs[1], back.d_output);
        let [_, height, width, _] = images_of(Self::NAME, "x", back.shape(x))?;
        let (window, size) = (self.window, [height, width]);
        let d_x = if back.wanted[0] { Some(back.apply(ConvTranspose2d::new(window, size), &[d, w])?) } else { None };
        let d_w = if back.wanted[1] { Some(back.apply(Conv2dWeightGradient { window }, &[d, x])?) } else { None };
        Ok(vec![d_x, d_w])
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, profile: &DeviceProfile) -> Kernel {
        loader::forward(self, inputs, output, profile)
    }

    fn is_matmul(&self) -> bool {
        true
    }

    fn gemms(&self, inputs: &[Shape]) -> Vec<Gemm> {
        let y = self.shape(inputs).expect("shapes are checked");
        let size = [y.rows(), y.cols(), inputs[1].len() / y.cols()];
        vec![Gemm { size, transpose: Transpose::B }]
    }

    fn is_activation(&self) -> bool {
        self.epilogue.is_activation()
    }

    fn loads_half(&self, input: usize) -> bool {
        input == 0 || (input > 1 && self.epilogue.loads_half())
    }

    fn cases() -> Vec<Case> {
        let mut cases = Vec::new();
        for Sizes { window, batch, size: [height, width], channels: [inner, out] } in sizes() {
            let (x, w) = (Shape::of([batch, height, width, inner]), weights(window, inner, out));
            let k = w.len() / out;
            cases.push(Case::new(Conv2d::new(window), k, &[(x, Fill::Normal), (w, Fill::Normal)]));
        }
        let window = Window2d::new(3).padding(1);
        for epilogue in [Epilogue::BiasActivation(Activation::Tanh), Epilogue::ActivationGradient(Activation::Sigmoid)] {
            let third = if matches!(epilogue, Epilogue::BiasActivation(_)) { Shape::of([5]) } else { Shape::of([2, 7, 5, 5]) };
            let inputs = [(Shape::of([2, 7, 5, 3]), Fill::Normal), (weights(window, 3, 5), Fill::Normal), (third, Fill::Unit)];
            cases.push(Case::new(Conv2d { window, epilogue }, 27, &inputs));
        }
        cases
    }
}

impl Operation for ConvTranspose2d {
    const NAME: &'static str = "conv_transpose2d";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [y, w] = arity(Self::NAME, &inputs[..inputs.len().min(2)])?;
        let [batch, rows, cols, out] = images_of(Self::NAME, "y", y)?;
        let channels = image_channels(Self::NAME, w, self.window.kernel, out)?;
        let [height, width] = self.size;
        let x = Shape::of([batch, height, width, channels]);
        let positions = self.window.over(Self::NAME, x)?;
        if positions != [rows, cols] {
            return graph_error(format!(
                "conv_transpose2d: y is {y}, the value {x}: over the value's size the window has {positions:?} positions: they \
                 must be y's rows and columns"
            ));
        }
        epilogue::shape(Self::NAME, self.epilogue, x, &inputs[2..])
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (y, w, epilogue, more) = (inputs[0], inputs[1], self.epilogue, &inputs[2..]);
        let &[batch, .., out] = y.shape.extents() else { unreachable!("shapes are checked") };
        let ([height, width], Window2d { stride, .. }) = (self.size, self.window);
        let n = w.shape.cols();
        for phase in 0..stride * stride {
            let at = [phase / stride, phase % stride];
            let [rows, cols] = [pixels(height, at[0], stride), pixels(width, at[1], stride)];
            if rows == 0 || cols == 0 {
                continue;
            }
            let along = at.map(|phase| Phase::of(self.window, phase));
            let patches =
                Patches { images: y, positions: [rows, cols], step: 1, taps: along.map(|phase| phase.taps) };
            let (m, k) = (batch * rows * cols, patches.cols());
            if n <= FEW {
                scratch(k * n, |weights| {
                    self.weights_of_few(along, w, out, weights);
                    let lines = outputs[0].chunks_mut(width * n).enumerate();
                    parallel_for(lines.filter(|(line, _)| line % height % stride == at[0]), |(line, sums)| {
                        let row = (line / height * rows + line % height / stride) * cols;
                        patches.times_few(row, weights, n, sums.chunks_exact_mut(n).skip(at[1]).step_by(stride));
                    });
                });
                continue;
            }
            let strides = RowStrides { counts: [rows, cols], strides: [height * width * n, stride * width * n, stride * n] };
            let first = (at[0] * width + at[1]) * n;
            let to = (&mut outputs[0][first..], strides);
            // Row (ty, tx, o) of B holds the weights of one tap and one channel of the map.
            let taps = |row: usize, col: usize, cols: usize, values: &mut [T]| {
                for (row, values) in (row..).zip(values.chunks_exact_mut(cols)) {
                    values.copy_from_slice(&w.row(self.weights_at(along, row / out, row % out))[col..][..cols]);
                }
            };
            let finish = |at: usize, col: usize, sums: &mut [T]| finish(epilogue, more, first + at, col, sums);
            // Pixels that no tap reaches are sums of one zero.
            let zeros = |_: usize, _: usize, _: usize, values: &mut [T]| values.fill(T::zero());
            let zero = Computed::by_columns(&zeros);
            match k {
                0 => gemm_spread([m, n, 1], to, zero, zero, finish),
                _ => patches.as_operand(|a| gemm_spread([m, n, k], to, a, Computed::by_rows(&taps), finish)),
            }
        }
        if n <= FEW {
            finish_lines(epilogue, more, width * n, outputs[0]);
        }
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        if self.epilogue != Epilogue::Store {
            return back.none("fused conv_transpose2d", "fusion comes after differentiation");
        }
        let (y, w, d, window) = (back.inputs[0], back.inputs[1], back.d_output, self.window);
        let d_y = if back.wanted[0] { Some(back.apply(Conv2d::new(window), &[d, w])?) } else { None };
        let d_w = if back.wanted[1] { Some(back.apply(Conv2dWeightGradient { window }, &[y, d])?) } else { None };
        Ok(vec![d_y, d_w])
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, profile: &DeviceProfile) -> Kernel {
        loader::transposed(self, inputs, output, profile)
    }

    fn is_matmul(&self) -> bool {
        true
    }

    /// Those of the phases that a tap reaches.
    fn gemms(&self, inputs: &[Shape]) -> Vec<Gemm> {
        let (y, w, stride) = (inputs[0].extents(), inputs[1], self.window.stride);
        let phases = (0..stride * stride).map(|phase| {
            let at = [phase / stride, phase % stride];
            let pixels = [0, 1].map(|axis| pixels(self.size[axis], at[axis], stride));
            let taps = at.map(|phase| Phase::of(self.window, phase).taps.count);
            let size = [y[0] * pixels[0] * pixels[1], w.cols(), taps[0] * taps[1] * y[3]];
            Gemm { size, transpose: Transpose::Neither }
        });
        phases.filter(|gemm| gemm.flops() > 0).collect()
    }

    /// By the most pixels and the most taps of a phase.
    fn tuned_as(&self, inputs: &[Shape]) -> Option<[usize; 3]> {
        let (y, w) = (inputs[0].extents(), inputs[1]);
        let pixels: usize = self.size.map(|extent| pixels(extent, 0, self.window.stride)).iter().product();
        Some([y[0] * pixels, w.cols(), loader::most_taps(self.window).pow(2) * y[3]])
    }

    fn is_activation(&self) -> bool {
        self.epilogue.is_activation()
    }

    fn loads_half(&self, input: usize) -> bool {
        input == 0 || (input > 1 && self.epilogue.loads_half())
    }

    fn cases() -> Vec<Case> {
        let mut cases = Vec::new();
        for Sizes { window, batch, size, channels: [inner, out] } in sizes() {
            let [rows, cols] = size.map(|extent| window.positions(extent));
            let (y, w) = (Shape::of([batch, rows, cols, out]), weights(window, inner, out));
            let k = w.len() / inner;
            cases.push(Case::new(ConvTranspose2d::new(window, size), k, &[(y, Fill::Normal), (w, Fill::Normal)]));
        }
        let window = Window2d::new(4).stride(2).padding(1);
        for epilogue in [Epilogue::BiasActivation(Activation::Tanh), Epilogue::ActivationGradient(Activation::Sigmoid)] {
            let third = if matches!(epilogue, Epilogue::BiasActivation(_)) { Shape::of([5]) } else { Shape::of([2, 7, 6, 5]) };
            let inputs = [(Shape::of([2, 3, 3, 3]), Fill::Normal), (weights(window, 5, 3), Fill::Normal), (third, Fill::Unit)];
            cases.push(Case::new(ConvTranspose2d { window, size: [7, 6], epilogue }, 48, &inputs));
        }
        cases
    }
}

impl Operation for Conv2dWeightGradient {
    const NAME: &'static str = "conv2d_weight_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [y, x] = arity(Self::NAME, inputs)?;
        let ([batch, rows, cols, out], [images, _, _, inner]) = (images_of(Self::NAME, "y", y)?, images_of(Self::NAME, "x", x)?);
        let positions = self.window.over(Self::NAME, x)?;
        if [images, positions[0], positions[1]] != [batch, rows, cols] {
            return graph_error(format!(
                "conv2d_weight_gradient: y is {y}, x is {x}, over which the window has {positions:?} positions: these must be \
                 y's, of as many images"
            ));
        }
        Ok(weights(self.window, inner, out))
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (y, x) = (inputs[0], inputs[1]);
        let positions = self.window.over(Self::NAME, x.shape).expect("shapes are checked");
        let patches =
            Patches { images: x, positions, step: self.window.stride, taps: [Taps::of(self.window); 2] };
        let (m, n, k) = (y.shape.cols(), patches.cols(), y.shape.rows());
        patches.as_operand(|b| gemm_long_k([m, n, k], outputs[0], Matrix::transposed(y.values, m), b));
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let (y, x, d, window) = (back.inputs[0], back.inputs[1], back.d_output, self.window);
        let [_, height, width, _] = images_of(Self::NAME, "x", back.shape(x))?;
        let d_y = if back.wanted[0] { Some(back.apply(Conv2d::new(window), &[x, d])?) } else { None };
        let transpose = ConvTranspose2d::new(window, [height, width]);
        let d_x = if back.wanted[1] { Some(back.apply(transpose, &[y, d])?) } else { None };
        Ok(vec![d_y, d_x])
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, profile: &DeviceProfile) -> Kernel {
        loader::weight_gradient(self, inputs, output, profile)
    }

    fn is_matmul(&self) -> bool {
        true
    }

    fn gemms(&self, inputs: &[Shape]) -> Vec<Gemm> {
        let (y, x) = (inputs[0], inputs[1]);
        let size = [y.cols(), self.window.kernel.pow(2) * x.cols(), y.rows()];
        vec![Gemm { size, transpose: Transpose::A }]
    }

    fn loads_half(&self, _: usize) -> bool {
        true
    }

    fn cases() -> Vec<Case> {
        let mut cases = Vec::new();
        for Sizes { window, batch, size, channels: [inner, out] } in sizes() {
            let [rows, cols] = size.map(|extent| window.positions(extent));
            let (y, x) = (Shape::of([batch, rows, cols, out]), Shape::of([batch, size[0], size[1], inner]));
            cases.push(Case::new(Conv2dWeightGradient { window }, y.rows(), &[(y, Fill::Normal), (x, Fill::Normal)]));
        }
        // A k so long that it is shared out, with the loops of software adapters too short for it.
        let (y, x) = (Shape::of([3, 150, 150, 2]), Shape::of([3, 150, 150, 1]));
        let window = Window2d::new(3).padding(1);
        cases.push(Case::new(Conv2dWeightGradient { window }, y.rows(), &[(y, Fill::Normal), (x, Fill::Normal)]));
        cases
    }
}

/// `[out, kernel, kernel, in]`.
fn weights(window: Window2d, inner: usize, out: usize) -> Shape {
    Shape::of([out, window.kernel, window.kernel, inner])
}
