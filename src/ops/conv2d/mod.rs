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

mod loader;
mod patches;

use super::*;
use crate::compute::{Computed, Matrix, RowStrides, gemm_long_k, gemm_spread, gemm_with_epilogue};
use crate::gemm::Problem;
use patches::{Patches, Phase, Taps};

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

/// `[batch, height, width, channels]`.
fn images(name: &str, what: &str, x: Shape) -> Result<[usize; 4]> {
    match *x.extents() {
        [batch, height, width, channels] => Ok([batch, height, width, channels]),
        _ => graph_error(format!("{name}: {what} is {x}: it must be images [batch, height, width, channels]")),
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

impl Operation for Conv2d {
    const NAME: &'static str = "conv2d";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x, w] = arity(Self::NAME, &inputs[..inputs.len().min(2)])?;
        let [batch, _, _, channels] = images(Self::NAME, "x", x)?;
        let [rows, cols] = self.window.over(Self::NAME, x)?;
        let out = w.extents()[0];
        if image_channels(Self::NAME, w, self.window.kernel, out)? != channels {
            return graph_error(format!("conv2d: x is {x}, weights are {w}: their last extents must be equal"));
        }
        self.epilogue.shape(Self::NAME, Shape::of([batch, rows, cols, out]), &inputs[2..])
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (x, w) = (inputs[0], inputs[1]);
        let positions = self.window.over(Self::NAME, x.shape).expect("shapes are checked");
        let patches =
            Patches { images: x, positions, step: self.window.stride, taps: [Taps::of(self.window); 2] };
        let (n, k) = (w.shape.extents()[0], patches.cols());
        let m = outputs[0].len() / n;
        let fill = |row: usize, col: usize, values: &mut [T]| patches.fill(row, col, values);
        let (a, b) = (Computed::new(&fill), Matrix::transposed(w.values, k));
        match self.epilogue {
            Epilogue::BiasActivation(activation) => {
                let bias = inputs[2].values;
                gemm_with_epilogue([m, n, k], outputs[0], a, b, #[inline(always)] |_, col, sums| {
                    activation.apply_in_place(sums, &bias[col..]);
                });
            }
            Epilogue::ActivationGradient(activation) => {
                let y = inputs[2];
                gemm_with_epilogue([m, n, k], outputs[0], a, b, #[inline(always)] |row, col, sums| {
                    activation.slope_in_place(sums, &y.row(row)[col..]);
                });
            }
            _ => gemm_with_epilogue([m, n, k], outputs[0], a, b, |_, _, _| {}),
        }
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        if self.epilogue != Epilogue::Store {
            return back.none("fused conv2d", "fusion comes after differentiation");
        }
        let (x, w, d) = (back.inputs[0], back.inputs[1], back.d_output);
        let [_, height, width, _] = images(Self::NAME, "x", back.shape(x))?;
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

    fn gemm(&self, inputs: &[Shape]) -> Option<Gemm> {
        let y = self.shape(inputs).ok()?;
        let size = [y.rows(), y.cols(), inputs[1].len() / y.cols()];
        Some(Gemm { size, transpose: Transpose::B, count: 1 })
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
        let [batch, rows, cols, out] = images(Self::NAME, "y", y)?;
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
        self.epilogue.shape(Self::NAME, x, &inputs[2..])
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (y, w) = (inputs[0], inputs[1]);
        let &[batch, .., out] = y.shape.extents() else { unreachable!("shapes are checked") };
        let ([height, width], Window2d { kernel, stride, .. }) = (self.size, self.window);
        let n = w.shape.cols();
        let counts = |extent: usize, phase: usize| extent.saturating_sub(phase).div_ceil(stride);
        for phase in 0..stride * stride {
            let [at_y, at_x] = [phase / stride, phase % stride];
            let [rows, cols] = [counts(height, at_y), counts(width, at_x)];
            if rows == 0 || cols == 0 {
                continue;
            }
            let [along_y, along_x] = [at_y, at_x].map(|phase| Phase::of(self.window, phase));
            let patches =
                Patches { images: y, positions: [rows, cols], step: 1, taps: [along_y.taps, along_x.taps] };
            let (m, k) = (batch * rows * cols, patches.cols());
            let strides = RowStrides { counts: [rows, cols], strides: [height * width * n, stride * width * n, stride * n] };
            let first = (at_y * width + at_x) * n;
            // The pixel of a row of this phase.
            let pixel = |row: usize| {
                let (image, y, x) = (row / cols / rows, row / cols % rows, row % cols);
                (image * height + y * stride + at_y) * width + x * stride + at_x
            };
            let fill = |row: usize, col: usize, values: &mut [T]| patches.fill(row, col, values);
            // Row (ty, tx, o) of B holds the weights of one tap and one channel of the map.
            let taps = |row: usize, col: usize, values: &mut [T]| {
                let (tap, o) = (row / out, row % out);
                let (a, b) = (along_y.tap(tap / along_x.taps.count), along_x.tap(tap % along_x.taps.count));
                values.copy_from_slice(&w.values[((o * kernel + a) * kernel + b) * n + col..][..values.len()]);
            };
            let zeros = |_: usize, _: usize, values: &mut [T]| values.fill(T::zero());
            // Pixels that no tap reaches are sums of one zero.
            let (k, a, b) = match k {
                0 => (1, Computed::new(&zeros), Computed::new(&zeros)),
                _ => (k, Computed::new(&fill), Computed::new(&taps)),
            };
            let to = (&mut outputs[0][first..], strides);
            match self.epilogue {
                Epilogue::BiasActivation(activation) => {
                    let bias = inputs[2].values;
                    gemm_spread([m, n, k], to, a, b, #[inline(always)] |_, col, sums| {
                        activation.apply_in_place(sums, &bias[col..]);
                    });
                }
                Epilogue::ActivationGradient(activation) => {
                    let x = inputs[2];
                    gemm_spread([m, n, k], to, a, b, #[inline(always)] |row, col, sums| {
                        activation.slope_in_place(sums, &x.row(pixel(row))[col..]);
                    });
                }
                _ => gemm_spread([m, n, k], to, a, b, |_, _, _| {}),
            }
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

    /// Those of the phases.
    fn gemm(&self, inputs: &[Shape]) -> Option<Gemm> {
        let (y, w, stride) = (inputs[0].extents(), inputs[1], self.window.stride);
        let pixels: usize = self.size.map(|extent| extent.div_ceil(stride)).iter().product();
        let size = [y[0] * pixels, w.cols(), loader::most_taps(self.window).pow(2) * y[3]];
        Some(Gemm { size, transpose: Transpose::Neither, count: stride * stride })
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
        let ([batch, rows, cols, out], [images, _, _, inner]) = (images(Self::NAME, "y", y)?, images(Self::NAME, "x", x)?);
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
        let fill = |row: usize, col: usize, values: &mut [T]| patches.fill(row, col, values);
        let (m, n, k) = (y.shape.cols(), patches.cols(), y.shape.rows());
        gemm_long_k([m, n, k], outputs[0], Matrix::transposed(y.values, m), Computed::new(&fill));
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let (y, x, d, window) = (back.inputs[0], back.inputs[1], back.d_output, self.window);
        let [_, height, width, _] = images(Self::NAME, "x", back.shape(x))?;
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

    fn gemm(&self, inputs: &[Shape]) -> Option<Gemm> {
        let (y, x) = (inputs[0], inputs[1]);
        let size = [y.cols(), self.window.kernel.pow(2) * x.cols(), y.rows()];
        Some(Gemm { size, transpose: Transpose::A, count: 1 })
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

/// Sizes of a case.
struct Sizes {
    window: Window2d,
    batch: usize,
    size: [usize; 2],
    /// Of an image, and of a map.
    channels: [usize; 2],
}

/// Each number of a window at more than one value, extents that it does not divide, channels around a vec4 and a tile.
fn sizes() -> Vec<Sizes> {
    let halving = Window2d::new(4).stride(2).padding(1);
    [
        (Window2d::new(1), 1, [1, 1], [1, 1]),
        (Window2d::new(1), 3, [5, 7], [4, 9]),
        (Window2d::new(3).padding(1), 2, [6, 5], [3, 8]),
        (Window2d::new(3).padding(1), 1, [9, 9], [16, 33]),
        (Window2d::new(3).stride(2).padding(1), 3, [7, 8], [5, 4]),
        (halving, 2, [8, 8], [4, 64]),
        (halving, 2, [9, 6], [8, 12]),
        (halving, 5, [2, 3], [1, 3]),
        (Window2d::new(5).stride(3).padding(2), 1, [11, 13], [2, 5]),
        (Window2d::new(3).dilation(2).padding(2), 1, [7, 6], [4, 4]),
        (Window2d::new(2).stride(4).dilation(2), 2, [9, 11], [3, 2]),
        (Window2d::new(3).stride(2).dilation(3).padding(4), 1, [10, 9], [4, 7]),
    ]
    .map(|(window, batch, size, channels)| Sizes { window, batch, size, channels })
    .into()
}
