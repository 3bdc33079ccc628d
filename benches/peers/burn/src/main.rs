//! The works of `vae-gpu bench` in burn: a JSON object a line, images a second as the median over nine parts of a run.
//!
//! ```text
//! cargo build --release
//! target/release/peer-burn --data ../../../assets/mnist [--backend flex|wgpu] [--work standard-128] [--seconds 10]
//! ```
//!
//! The same step as ours, as pytorch.py says. `flex` is burn's CPU back-end; `wgpu` runs WGSL through wgpu, with
//! operations fused, on what `CUBECL_WGPU_DEFAULT_DEVICE` names (`Cpu`: a software one) or else the best one.
//! Kernels are tuned anew in each process, which is most of the time to the first step; nothing is kept on the disk.
//! Data is resident as f32, with wgpu the first 40,000 digits of it: 128 MiB is what every device can bind at once.

#[path = "../../common.rs"]
mod common;

use std::time::Instant;

use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::{log_sigmoid, relu, sigmoid};
use burn::tensor::{Distribution, TensorData};

/// The convolutional works; `hidden` is what their convolutions give.
const CONV: [common::Work; 2] = [("conv-28", 3136, 2, 128), ("conv-64", 4096, 128, 64)];

/// The layers in their order, with ReLU between them.
#[derive(Module, Debug)]
struct Vae {
    convolutions: Vec<Conv2d>,
    encoder: Vec<Linear>,
    decoder: Vec<Linear>,
    transposed: Vec<ConvTranspose2d>,
    squared_error: bool,
}

impl Vae {
    fn new((work, hidden, latent, _): common::Work, device: &Device) -> Self {
        let (kernel, convolutions, encoder, decoder, transposed) = match work {
            "conv-28" => (3, vec![1, 32, 64], vec![hidden, 16, 2 * latent], vec![latent, hidden], vec![64, 64, 32, 1]),
            "conv-64" => {
                let (down, up) = (vec![3, 32, 64, 128, 256], vec![256, 128, 64, 32, 3]);
                (4, down, vec![hidden, 2 * latent], vec![latent, hidden], up)
            }
            _ => (0, vec![], vec![784, hidden, 2 * latent], vec![latent, hidden, 784], vec![]),
        };
        let convolution = |pair: &[usize]| {
            let config = Conv2dConfig::new([pair[0], pair[1]], [kernel; 2]).with_stride([2; 2]);
            config.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device)
        };
        let linear = |pair: &[usize]| LinearConfig::new(pair[0], pair[1]).init(device);
        let transpose = |pair: &[usize]| {
            let stride = if pair[1] == 1 { 1 } else { 2 };
            let config = ConvTranspose2dConfig::new([pair[0], pair[1]], [kernel; 2]).with_stride([stride; 2]);
            config.with_padding([1; 2]).with_padding_out([stride + 2 - kernel; 2]).init(device)
        };
        Self {
            convolutions: convolutions.windows(2).map(convolution).collect(),
            encoder: encoder.windows(2).map(linear).collect(),
            decoder: decoder.windows(2).map(linear).collect(),
            transposed: transposed.windows(2).map(transpose).collect(),
            squared_error: work == "conv-64",
        }
    }

    /// The loss of images, one a row.
    fn loss(&self, x: Tensor<2>) -> Tensor<1> {
        let rows = x.dims()[0];
        let mut y = x.clone();
        if let Some(first) = self.convolutions.first() {
            let images = unflatten(y, first.weight.dims()[1]);
            y = self.convolutions.iter().fold(images, |images, layer| relu(layer.forward(images))).flatten(1, 3);
        }
        let mut halves = dense(&self.encoder, y).chunk(2, 1).into_iter();
        let (mean, logvar) = (halves.next().unwrap(), halves.next().unwrap());
        let noise = Tensor::random(mean.dims(), Distribution::Normal(0.0, 1.0), &x.device());
        let z = mean.clone() + logvar.clone().mul_scalar(0.5).exp() * noise;
        let mut y = dense(&self.decoder, z);
        if let Some(first) = self.transposed.first() {
            let images = unflatten(y, first.channels[0]);
            y = self.transposed.iter().fold(images, |images, layer| layer.forward(relu(images))).flatten(1, 3);
        }
        let recon = if self.squared_error {
            (sigmoid(y) - x).square().sum()
        } else {
            // As burn's own BinaryCrossEntropyLoss has it, whose targets are whole numbers only.
            ((x.neg() + 1.0) * y.clone() - log_sigmoid(y)).sum()
        };
        let kl = (logvar.clone().exp() + mean.clone() * mean - logvar - 1.0).sum().mul_scalar(0.5);
        (recon + kl).div_scalar(rows as f32)
    }
}

fn dense(layers: &[Linear], x: Tensor<2>) -> Tensor<2> {
    let (first, others) = layers.split_first().expect("a layer");
    others.iter().fold(first.forward(x), |x, layer| layer.forward(relu(x)))
}

/// Rows as square images of so many channels.
fn unflatten(rows: Tensor<2>, channels: usize) -> Tensor<4> {
    let [count, features] = rows.dims();
    let side = (features / channels).isqrt();
    rows.reshape([count, channels, side, side])
}

/// A work's images, one a row, and how many they are: digits, or made-up colours of 64x64.
fn images(work: &str, arguments: &common::Arguments, backend: &str) -> (Vec<f32>, usize) {
    if work == "conv-64" {
        let (count, mut state) = (1024, 1);
        let uniform = || (common::random(&mut state) >> 40) as f32 / (1 << 24) as f32;
        return (std::iter::repeat_with(uniform).take(count * 3 * 64 * 64).collect(), count);
    }
    let mut pixels = arguments.mnist();
    if backend == "wgpu" {
        pixels.truncate(40_000 * 784);
    }
    let count = pixels.len() / 784;
    (pixels, count)
}

fn main() {
    let arguments = common::Arguments::parse();
    let backend = arguments.get("--backend", "flex");
    let device = match backend.as_str() {
        "flex" => Device::flex(),
        "wgpu" => Device::wgpu(Default::default()),
        other => panic!("no back-end {other}: flex or wgpu"),
    }
    .autodiff();
    for work in arguments.works(common::DENSE.into_iter().chain(CONV)) {
        let (name, _, _, batch) = work;
        let (pixels, count) = images(name, &arguments, &backend);
        let shape = [count, pixels.len() / count];
        let images = Tensor::<2>::from_data(TensorData::new(pixels, shape), &device);
        let began = Instant::now();
        let mut batches = common::Batches::new(count, batch);
        let mut model = Vae::new(work, &device);
        let mut adam = AdamConfig::new().with_epsilon(1e-8).init();
        let step = || {
            let chosen: Vec<i32> = batches.next().into_iter().map(|at| at as i32).collect();
            let chosen = Tensor::<1, Int>::from_data(TensorData::new(chosen, [batch]), &device);
            let loss = model.loss(images.clone().select(0, chosen));
            let slopes = GradientsParams::from_grads(loss.backward(), &model);
            model = adam.step(1e-3, model.clone(), slopes);
            loss
        };
        let finish = |loss: Tensor<1>| {
            device.sync().expect("the device finishes");
            loss.into_data().try_to_vec::<f32>().expect("a loss is f32")[0]
        };
        let peer = format!("burn 0.22.1 {backend}");
        common::measure(&peer, work, &arguments, began, step, finish);
    }
}
