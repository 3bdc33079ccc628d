//! Faults in ops on images: convolutions, normalisations, pooling, resizing.

use super::{InOp, edit, shift};
use vae_gpu::ops::Algorithm;

/// Those that an op's cases must report.
pub(super) const IN_OPS: [InOp; 32] = [
    ("a tap that reads a line further down", "conv2d", None, |kernel| {
        edit(kernel, "conv/taps.wgsl", "DILATION - PADDING;", "DILATION - PADDING + 1;");
    }),
    ("a pixel of the neighbouring line for padding", "conv2d", None, |kernel| {
        edit(kernel, "conv/patches.wgsl", " && (at.y & 0xffffu) - MARGIN < IMAGE_WIDTH", "");
    }),
    ("a pixel of the neighbouring image for padding", "conv2d_weight_gradient", None, |kernel| {
        edit(kernel, "conv/patches.wgsl", "(at.y >> 16u) - MARGIN < IMAGE_HEIGHT && ", "");
    }),
    ("phases in each other's places", "conv_transpose2d", None, |kernel| {
        edit(kernel, "conv/phases.wgsl", "GRID_WIDTH * PHASES + phase.y", "GRID_WIDTH * PHASES + phase.x");
        edit(kernel, "conv/phases.wgsl", "GRID_HEIGHT * PHASES + phase.x", "GRID_HEIGHT * PHASES + phase.y");
    }),
    ("a phase's taps as if there were no padding", "conv_transpose2d", None, |kernel| {
        edit(kernel, "conv/phases.wgsl", "= (p + PADDING) / COMMON", "= p / COMMON");
    }),
    ("taps of a phase that none reaches", "conv_transpose2d", None, |kernel| {
        edit(
            kernel,
            "conv/phases.wgsl",
            "select(KERNEL, min(first, KERNEL), (p + PADDING) % COMMON == 0u)",
            "min(first, KERNEL)",
        );
    }),
    ("a kernel's lines and columns exchanged", "conv_transpose2d", Some(Algorithm::Registers), |kernel| {
        edit(kernel, "conv/weight_row.wgsl", "KERNEL + line) * KERNEL + pixel", "KERNEL + pixel) * KERNEL + line");
    }),
    ("a vec4 of weights in the order of k", "conv_transpose2d", Some(Algorithm::Tiled), |kernel| {
        edit(kernel, "conv/weights_of_taps.wgsl", "weight_row(k)", "k");
    }),
    ("the last k of a part left out", "conv2d_weight_gradient", None, |kernel| {
        edit(kernel, "gemm/k_parts.wgsl", "min(K, (part + 1u) * PART_K)", "min(K, (part + 1u) * PART_K) - 1u");
    }),
    ("the last part of k left out", "conv2d_weight_gradient", None, |kernel| {
        edit(kernel, "gemm/add_parts.wgsl", "part < PARTS", "part < PARTS - 1u");
    }),
    ("padding in a batch's statistics", "statistics", None, |kernel| {
        edit(kernel, "norm/over_batch.wgsl", "min(step.rows * SAMPLES, IMAGES)", "IMAGES");
    }),
    ("a variance around 0", "moments", None, |kernel| {
        edit(kernel, "norm/moments.wgsl", "* CHANNELS) - mean", "* CHANNELS)");
    }),
    ("the last part of an image as many pixels as the others", "moments", None, |kernel| {
        edit(kernel, "norm/parts.wgsl", "min(PART_PIXELS, PIXELS - part * PART_PIXELS)", "PART_PIXELS");
    }),
    ("the means of parts left out of a variance", "moments", None, |kernel| {
        edit(kernel, "norm/moments_of_parts.wgsl", " + off * off", "");
    }),
    ("the last part of an image left out", "norm_sums", None, |kernel| {
        edit(kernel, "norm/sums_of_parts.wgsl", "part < PARTS", "part < PARTS - 1u");
    }),
    ("a gradient as if its statistics were constants", "norm_gradient", None, |kernel| {
        edit(kernel, "norm/gradient.wgsl", " - normalised * terms[at + 1u]", "");
    }),
    ("images' means left out of a variance", "statistics", None, |kernel| {
        edit(kernel, "norm/statistics_batch.wgsl", " + off * off", "");
    }),
    ("a short batch divided by a whole one's count", "statistics", None, |kernel| {
        edit(kernel, "norm/statistics_batch.wgsl", "/ f32(counted())", "/ f32(IMAGES)");
    }),
    ("another image's statistics", "normalise", None, |kernel| {
        edit(kernel, "norm/over_group.wgsl", "image * GROUPS + c", "c");
    }),
    ("another group's scales", "norm_terms", None, |kernel| {
        edit(kernel, "norm/terms_group.wgsl", "scale[first_channel + c]", "scale[c]");
    }),
    ("a barrier dropped before columns are summed again", "moments", None, |kernel| {
        edit(kernel, "norm/columns.wgsl", "workgroupBarrier();   // each", "// each");
    }),
    ("a window's last position left out", "average_pool_gradient", None, |kernel| shift(kernel, "OUT_WIDTH", -1.0)),
    ("the border of a pooled image shifted", "pool", None, |kernel| shift(kernel, "PADDING", 1.0)),
    ("elements in a window's gaps", "max_pool_gradient", None, |kernel| {
        edit(kernel, "pool/max_gradient.wgsl", "(row - pixel(oy, 0u)) % DILATION == 0u", "true");
    }),
    ("a maximum over the zeros of padding", "pool", None, |kernel| {
        edit(kernel, "pool/max.wgsl", "most = -3.4028234e38", "most = 0.0");
    }),
    ("a mean of what lies in the image alone", "pool", None, |kernel| {
        edit(kernel, "pool/average.wgsl", "var sum = 0.0;", "var sum = 0.0;\n    var count = 0.0;");
        edit(
            kernel,
            "pool/average.wgsl",
            "sum = sum + load_x",
            "count = count + 1.0;\n                sum = sum + load_x",
        );
        edit(kernel, "pool/average.wgsl", "f32(KERNEL * KERNEL)", "count");
    }),
    ("each of equal maxima", "max_pool_gradient", None, |kernel| {
        edit(kernel, "pool/max_gradient.wgsl", "(is_before && other == own)", "false");
    }),
    ("a reader of an element left out", "resize_gradient", None, |kernel| {
        edit(kernel, "resize/bilinear.wgsl", "(2u * j + 3u) * to", "(2u * j + 2u) * to");
    }),
    ("corners aligned", "resize", None, |kernel| {
        edit(kernel, "resize/bilinear.wgsl", "max((2u * i + 1u) * source, to) - to", "2u * i * source");
    }),
    ("the nearest centre", "resize", None, |kernel| {
        edit(
            kernel,
            "resize/nearest.wgsl",
            "nearest = i * source / to",
            "nearest = (2u * i + 1u) * source / (2u * to)",
        );
    }),
    ("an element past the border", "resize", None, |kernel| {
        edit(kernel, "resize/bilinear.wgsl", "min(first + 1u, source - 1u)", "first + 1u");
    }),
    ("one weight of an element that has both", "resize_gradient", None, |kernel| {
        edit(
            kernel,
            "resize/resize_gradient.wgsl",
            "select(0.0, taps.weight, taps.second == at)",
            "select(0.0, taps.weight, taps.second == at && taps.first != at)",
        );
    }),
];
