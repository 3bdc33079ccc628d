//! The GEMM core takes an operand that it has never heard of: the patches of a convolution, defined here, in every algorithm.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::cases::{reference, run};
use crate::common::{Check, Tolerance, gpu};
use vae_gpu::backend::gpu::GpuOptions;
use vae_gpu::gemm::{Algorithm, Dense, DeviceProfile, Loader, Problem, Side, TuningTable};
use vae_gpu::graph::{Backward, NodeId};
use vae_gpu::kernel::{Fragment, Kernel};
use vae_gpu::ops::{Case, Custom, Fill, Operation, Real, View};
use vae_gpu::step::Step;
use vae_gpu::tensor::Shape;
use vae_gpu::{Error, Result};

/// A convolution of 3 x 3 with a border of zeros, as a product of patches and filters: inputs images
/// `[count, height width channels]` and filters `[filters, 9 channels]`, value `[count height width, filters]`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Convolution {
    height: usize,
    width: usize,
    channels: usize,
}

/// The patches as operand A `[count height width, 9 channels]`. An address is one in images with their borders.
struct Patches(Convolution);

const PATCHES: &str = "
    override HEIGHT: u32;
    override WIDTH: u32;
    override CHANNELS: u32;

    @group(0) @binding(1) var<storage, read> image: array<f32>;

    alias OffsetA = u32;

    fn a_row(row: u32) -> OffsetA {
        let y = row / WIDTH;
        return ((y / HEIGHT * (HEIGHT + 2u) + y % HEIGHT) * (WIDTH + 2u) + row % WIDTH) * CHANNELS;
    }

    fn a_k(k: u32) -> OffsetA {
        return (k / CHANNELS / 3u * (WIDTH + 2u) + k / CHANNELS % 3u) * CHANNELS + k % CHANNELS;
    }

    fn load_a(at: OffsetA) -> f32 {
        let x = at / CHANNELS % (WIDTH + 2u);
        let row = at / CHANNELS / (WIDTH + 2u);
        let y = row % (HEIGHT + 2u);
        if (x == 0u || x > WIDTH || y == 0u || y > HEIGHT) {
            return 0.0;
        }
        return image[((row / (HEIGHT + 2u) * HEIGHT + y - 1u) * WIDTH + x - 1u) * CHANNELS + at % CHANNELS];
    }";

const STORE: &str = "
    @group(0) @binding(3) var<storage, read_write> c: array<f32>;

    fn epilogue(row: u32, col: u32, sums: vec4<f32>) {
        for (var i = 0u; i < min(4u, N - col); i = i + 1u) {
            c[row * N + col + i] = sums[i];
        }
    }";

impl Loader for Patches {
    fn link(&self, kernel: Kernel, side: Side, by_vec4: bool) -> Kernel {
        assert_eq!((side, by_vec4), (Side::A, false));
        let Convolution { height, width, channels } = self.0;
        kernel
            .link(Fragment { name: "patches.wgsl", source: PATCHES })
            .constant("HEIGHT", height)
            .constant("WIDTH", width)
            .constant("CHANNELS", channels)
    }

    fn k_contiguous(&self) -> bool {
        true
    }
}

impl Operation for Convolution {
    const NAME: &'static str = "convolution";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let Convolution { height, width, channels } = *self;
        match inputs {
            [images, filters] if images.cols() == height * width * channels && filters.cols() == 9 * channels => {
                Ok(Shape::new(images.rows() * height * width, filters.rows()))
            }
            _ => Err(Error::Graph(format!("convolution: inputs are {inputs:?}"))),
        }
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let Convolution { height, width, channels } = *self;
        let (images, filters) = (inputs[0], inputs[1]);
        for (at, y) in outputs[0].iter_mut().enumerate() {
            let (pixel, filter) = (at / filters.shape.rows(), filters.row(at % filters.shape.rows()));
            let (image, row, col) = (pixel / width / height, pixel / width % height, pixel % width);
            *y = T::zero();
            for (k, &weight) in filter.iter().enumerate() {
                let (from_row, from_col) = (row + k / channels / 3, col + k / channels % 3);
                if (1..=height).contains(&from_row) && (1..=width).contains(&from_col) {
                    let at = ((from_row - 1) * width + from_col - 1) * channels + k % channels;
                    *y = *y + images.row(image)[at] * weight;
                }
            }
        }
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "it is a test's")
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, profile: &DeviceProfile) -> Kernel {
        let k = inputs[1].cols();
        let (a, b) = (Patches(*self), Dense { k_contiguous: true, cols: k });
        let epilogue = |kernel: Kernel| kernel.link(Fragment { name: "store.wgsl", source: STORE });
        Problem { size: [output.rows(), output.cols(), k], a: &a, b: &b, epilogue: &epilogue, parts: None }
            .kernel(profile)
    }

    fn cases() -> Vec<Case> {
        [[1, 1, 1, 1, 1], [3, 7, 5, 3, 9], [2, 8, 8, 4, 33], [1, 11, 13, 1, 65]]
            .map(|[count, height, width, channels, filters]| {
                let op = Custom::new(Convolution { height, width, channels });
                let (images, filters) = ([count, height * width * channels], [filters, 9 * channels]);
                Case::new(op, 9 * channels, &[(images, Fill::Normal), (filters, Fill::Normal)])
            })
            .to_vec()
    }
}

#[test]
fn patches_are_an_operand_of_every_algorithm() {
    for checks in [true, false] {
        let Some(device) = gpu(GpuOptions { checks, ..GpuOptions::default() }) else { return };
        for case in Convolution::cases() {
            let wanted = reference(&case);
            let (m, n, k) = (wanted.len() / case.inputs[1].0.rows(), case.inputs[1].0.rows(), case.inputs[1].0.cols());
            for algorithm in Algorithm::ALL {
                let mut device = device.clone();
                device.set_tuning(TuningTable::from([([m, n, k], algorithm)]));
                let got = run(&case, &device).unwrap();
                Tolerance::rounding(case.terms).check(&format!("{} of {case}", algorithm.name()), &got, &wanted);
            }
        }
    }
}
