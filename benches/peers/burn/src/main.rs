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
//! Data is resident as f32, with wgpu the first 40,000 images of it: 128 MiB is what every device can bind at once.

#[path = "../../common.rs"]
mod common;

use std::time::Instant;

use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::{log_sigmoid, relu};
use burn::tensor::{Distribution, TensorData};

#[derive(Module, Debug)]
struct Vae {
    layers: [Linear; 4],
}

impl Vae {
    fn new(hidden: usize, latent: usize, device: &Device) -> Self {
        let sizes = [(784, hidden), (hidden, 2 * latent), (latent, hidden), (hidden, 784)];
        Self { layers: sizes.map(|(inputs, outputs)| LinearConfig::new(inputs, outputs).init(device)) }
    }

    fn loss(&self, x: Tensor<2>) -> Tensor<1> {
        let [encode, posterior, decode, pixels] = &self.layers;
        let rows = x.dims()[0];
        let mut halves = posterior.forward(relu(encode.forward(x.clone()))).chunk(2, 1).into_iter();
        let (mean, logvar) = (halves.next().unwrap(), halves.next().unwrap());
        let noise = Tensor::random(mean.dims(), Distribution::Normal(0.0, 1.0), &x.device());
        let z = mean.clone() + logvar.clone().mul_scalar(0.5).exp() * noise;
        let logits = pixels.forward(relu(decode.forward(z)));
        // As burn's own BinaryCrossEntropyLoss has it, whose targets are whole numbers only.
        let recon = ((x.neg() + 1.0) * logits.clone() - log_sigmoid(logits)).sum();
        let kl = (logvar.clone().exp() + mean.clone() * mean - logvar - 1.0).sum().mul_scalar(0.5);
        (recon + kl).div_scalar(rows as f32)
    }
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
    let mut pixels = arguments.mnist();
    if backend == "wgpu" {
        pixels.truncate(40_000 * 784);
    }
    let count = pixels.len() / 784;
    let images = Tensor::<2>::from_data(TensorData::new(pixels, [count, 784]), &device);
    for work in arguments.works() {
        let (_, hidden, latent, batch) = work;
        let began = Instant::now();
        let mut batches = common::Batches::new(count, batch);
        let mut model = Vae::new(hidden, latent, &device);
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
