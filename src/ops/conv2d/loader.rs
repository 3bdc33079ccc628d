//! Convolutions on a GPU: GEMM problems whose operands are patches.

use super::*;
use crate::gemm::{Dense, Loader, Parts, Side};

/// Patches of images, as the operand of a convolution or of its weight gradient.
struct PatchLoader {
    images: Shape,
    /// Positions along height and width.
    positions: [usize; 2],
    step: usize,
    /// The window whose taps they are; none where what else is linked defines them.
    window: Option<Window2d>,
    /// Whether k runs along a patch, not from patch to patch.
    k_contiguous: bool,
}

impl Loader for PatchLoader {
    fn link(&self, kernel: Kernel, side: Side, by_vec4: bool) -> Kernel {
        let (file, load, binding) = match (side, by_vec4) {
            (Side::A, false) => (fragment!("conv/operand_a.wgsl"), fragment!("conv/load_a.wgsl"), 1),
            (Side::A, true) => (fragment!("conv/operand_a.wgsl"), fragment!("conv/load_a_vec4.wgsl"), 1),
            (Side::B, false) => (fragment!("conv/operand_b.wgsl"), fragment!("conv/load_b.wgsl"), 2),
            (Side::B, true) => (fragment!("conv/operand_b.wgsl"), fragment!("conv/load_b_vec4.wgsl"), 2),
        };
        let patch = if by_vec4 { fragment!("conv/load_patch_vec4.wgsl") } else { fragment!("conv/load_patch.wgsl") };
        let &[_, height, width, channels] = self.images.extents() else { unreachable!("images have four extents") };
        let kernel = kernel
            .link(file)
            .link(load)
            .link(patch)
            .link(fragment!("conv/patches.wgsl"))
            .binding("IMAGES", binding)
            .constant("IMAGE_HEIGHT", height)
            .constant("IMAGE_WIDTH", width)
            .constant("IMAGE_CHANNELS", channels)
            .constant("GRID_HEIGHT", self.positions[0])
            .constant("GRID_WIDTH", self.positions[1])
            .constant("STEP", self.step);
        match self.window {
            Some(Window2d { kernel: side, padding, dilation, .. }) => kernel
                .link(fragment!("conv/taps.wgsl"))
                .constant("KERNEL", side)
                .constant("PADDING", padding)
                .constant("DILATION", dilation),
            None => kernel,
        }
    }

    fn k_contiguous(&self) -> bool {
        self.k_contiguous
    }

    fn has_vec4s(&self) -> bool {
        self.images.cols().is_multiple_of(4)
    }
}

/// The weights of a phase's taps, as operand B.
struct WeightLoader {
    cols: usize,
}

impl Loader for WeightLoader {
    fn link(&self, kernel: Kernel, _: Side, by_vec4: bool) -> Kernel {
        let load = if by_vec4 { fragment!("gemm/load_b_vec4.wgsl") } else { fragment!("gemm/load_b.wgsl") };
        kernel.link(fragment!("conv/weights_of_taps.wgsl")).link(load)
    }

    fn k_contiguous(&self) -> bool {
        false
    }

    fn has_vec4s(&self) -> bool {
        self.cols.is_multiple_of(4)
    }
}

pub(super) fn forward(op: &Conv2d, inputs: &[Shape], output: Shape, profile: &DeviceProfile) -> Kernel {
    let (x, k) = (inputs[0], inputs[1].len() / output.cols());
    let positions = [output.extents()[1], output.extents()[2]];
    let a = PatchLoader { images: x, positions, step: op.window.stride, window: Some(op.window), k_contiguous: true };
    let b = Dense { k_contiguous: true, cols: k };
    let (m, n) = (output.rows(), output.cols());
    let epilogue = |kernel| op.epilogue.link(kernel, &inputs[2..], n);
    Problem { size: [m, n, k], a: &a, b: &b, epilogue: &epilogue, parts: None }.kernel(profile)
}

pub(super) fn transposed(op: &ConvTranspose2d, inputs: &[Shape], output: Shape, profile: &DeviceProfile) -> Kernel {
    let Window2d { kernel: side, stride, padding, dilation } = op.window;
    let [height, width] = op.size;
    let positions = op.size.map(|extent| extent.div_ceil(stride));
    let size = op.tuned_as(inputs).expect("it is a matmul");
    let a = PatchLoader { images: inputs[0], positions, step: 1, window: None, k_contiguous: true };
    let b = WeightLoader { cols: output.cols() };
    let epilogue = |kernel| op.epilogue.link(kernel, &inputs[2..], output.cols());
    let (common, tap_step) = (greatest_common_divisor(stride, dilation), tap_step(op.window));
    let inverse = (0..tap_step).find(|inverse| dilation / common * inverse % tap_step == 1 % tap_step);
    let phases = |kernel: Kernel| {
        kernel
            .link(fragment!("conv/phases.wgsl"))
            .link(fragment!("conv/weight_row.wgsl"))
            .constant("KERNEL", side)
            .constant("PHASES", stride)
            .constant("PADDING", padding)
            .constant("DILATION", dilation)
            .constant("COMMON", common)
            .constant("TAP_STEP", tap_step)
            .constant("INVERSE", inverse.expect("numbers without a common divisor have one"))
            .constant("HEIGHT", height)
            .constant("WIDTH", width)
    };
    let parts = Some(Parts { count: stride * stride, link: &phases });
    Problem { size, a: &a, b: &b, epilogue: &epilogue, parts }.kernel(profile)
}

pub(super) fn weight_gradient(
    op: &Conv2dWeightGradient,
    inputs: &[Shape],
    output: Shape,
    profile: &DeviceProfile,
) -> Kernel {
    let (y, x) = (inputs[0], inputs[1]);
    let positions = [y.extents()[1], y.extents()[2]];
    let a = Dense { k_contiguous: false, cols: y.cols() };
    let b = PatchLoader { images: x, positions, step: op.window.stride, window: Some(op.window), k_contiguous: false };
    let size = [y.cols(), output.len() / y.cols(), y.rows()];
    let epilogue = |kernel| Epilogue::Store.link(kernel, &[], size[1]);
    Problem { size, a: &a, b: &b, epilogue: &epilogue, parts: None }.kernel(profile)
}

/// Taps along an axis from one that reaches pixels of a phase to the next.
fn tap_step(window: Window2d) -> usize {
    window.stride / greatest_common_divisor(window.stride, window.dilation)
}

/// The most taps along an axis that reach a pixel.
pub(super) fn most_taps(window: Window2d) -> usize {
    window.kernel.div_ceil(tap_step(window))
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
