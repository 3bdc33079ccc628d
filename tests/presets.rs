//! The first steps of every preset, on its own data, on the GPU and on the CPU.
//!
//! Ten steps each; `VAE_GPU_PRESET_STEPS=100 cargo test --release --test main presets -- --nocapture` takes more and prints.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::gpu;
use vae_gpu::backend::gpu::GpuOptions;
use vae_gpu::backend::{Device, cpu::Cpu};
use vae_gpu::config::{PRESETS, TrainConfig, preset};
use vae_gpu::data::{Dataset, ImageSize};
use vae_gpu::plan::Options;
use vae_gpu::train::Trainer;

/// How far the mean losses of these steps, and the terms they are made of, may be apart, as a share of the loss. Ten steps
/// differ by rounding, 1e-6; later ones by what training makes of it: the CPU's own f32 and f64 are 2e-3 apart after a
/// hundred steps of `burda-iwae-50`.
const SHARE: f64 = 0.005;

/// Images a batch, and at most so many steps, of presets for colour pictures of 64x64, which here are made up.
fn pictures(name: &str) -> Option<(i64, usize)> {
    match name {
        "pythae-celeba" => Some((2, 1)), // 34 GFLOP a step
        _ => name.ends_with("-64").then_some((4, usize::MAX)),
    }
}

#[test]
fn presets_begin_alike_on_the_gpu_and_on_the_cpu() {
    let Some(device) = gpu(GpuOptions::default()) else { return };
    let steps: usize = std::env::var("VAE_GPU_PRESET_STEPS").map_or(10, |steps| steps.parse().unwrap());
    for (name, _) in PRESETS {
        let mut table = preset(name).unwrap();
        let (config, data) = match pictures(name) {
            None => {
                let config = TrainConfig::layered([table]).unwrap();
                let whole = config.dataset().unwrap();
                let train = whole.train.take_first(steps * config.batch_size);
                (config, Dataset::new(whole.name, train, whole.test.take_first(100)))
            }
            Some((batch, most)) => {
                table.insert("batch-size".to_owned(), batch.into());
                let config = TrainConfig::layered([table]).unwrap();
                let noise = Dataset::noise(
                    ImageSize { height: 64, width: 64, channels: 3 },
                    steps.min(most) * config.batch_size,
                );
                let test = noise.test.take_first(config.batch_size);
                (config, Dataset::new(noise.name, noise.train, test))
            }
        };
        let epoch = |device: &dyn Device| {
            let mut trainer = Trainer::new(&config, &data, device, Options::default(), None).unwrap();
            trainer.run_epoch(&mut ()).unwrap().unwrap()
        };
        // A model whose parameters are more than this adapter binds at once is held against the CPU's own f64.
        let reference: &dyn Device = if *name == "pythae-celeba" { &Cpu::<f64>::new() } else { &device };
        let (on_gpu, on_cpu) = (epoch(reference), epoch(&Cpu::<f32>::new()));
        assert_eq!(on_gpu.losses.len(), 6, "{name}");
        for (term, &cpu) in &on_cpu.losses {
            let gpu = on_gpu.losses[term];
            let set = if term.starts_with("train") { "train_loss" } else { "test_loss" };
            let loss = on_cpu.losses.get(set).copied().unwrap_or(cpu); // a GAN's terms are losses themselves
            // A discriminator's accuracy is a count of right answers: one of a batch may differ.
            let allowed = if term.ends_with("accuracy") { 0.02 } else { SHARE * loss.abs() };
            assert!((gpu - cpu).abs() <= allowed, "{name}: {term} is {gpu} on the GPU, {cpu} on the CPU");
        }
        let [gpu, cpu] = [on_gpu, on_cpu].map(|line| line.losses.into_values().collect::<Vec<_>>());
        eprintln!("{name}: {} steps, GPU {gpu:.4?}, CPU {cpu:.4?}", data.train.count().div_ceil(config.batch_size));
    }
}
