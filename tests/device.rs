//! A run whose device fails says so, and goes on elsewhere.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{gpu, scalars};
use std::fs;
use tempfile::TempDir;
use vae_gpu::Error;
use vae_gpu::backend::cpu::Cpu;
use vae_gpu::backend::gpu::{Gpu, GpuOptions};
use vae_gpu::backend::{Device, Session};
use vae_gpu::config::TrainConfig;
use vae_gpu::graph::PARAMETERS;
use vae_gpu::models::{Layer, ModelConfig};
use vae_gpu::ops::Activation;
use vae_gpu::plan::Options;
use vae_gpu::train::{Checkpoint, EpochMetrics, Losses, ModelInput, Observer, RunFolder, Trainer};

fn config(batch_size: usize, hidden: usize) -> TrainConfig {
    let data = Some("uniform:500x16".parse().unwrap());
    TrainConfig { data, batch_size, hidden: Some(vec![hidden]), latent: 3, epochs: 4, ..TrainConfig::default() }
}

/// Takes the device away in an epoch, at a submission.
struct Reset {
    gpu: Gpu,
    epoch: u64,
}

impl Observer for Reset {
    fn epoch_started(&mut self, epoch: u64, _: u64) {
        self.epoch = epoch;
    }

    fn progress(&mut self, _: u64, _: Losses) {
        if self.epoch == 2 {
            self.gpu.lose();
        }
    }

    fn epoch_finished(&mut self, metrics: &EpochMetrics, _: Losses, _: Losses) {
        assert_eq!(metrics.epoch, 1, "the device was taken away in the second epoch");
    }
}

#[test]
fn a_run_whose_device_is_lost_goes_on_from_its_last_checkpoint_on_the_cpu() {
    let Some(gpu) = gpu(GpuOptions::default()) else { return };
    let (config, folder) = (config(100, 8), TempDir::new().unwrap());
    let data = config.dataset().unwrap();
    let run = RunFolder::create(&folder.path().join("run"), &config).unwrap();
    let mut trainer = Trainer::new(&config, &data, &gpu, Options::default(), None).unwrap();
    let error = trainer.run(&run, &mut Reset { gpu: gpu.clone(), epoch: 0 }).unwrap_err();
    assert!(matches!(&error, Error::Device { reason, .. } if reason.contains("lost")), "{error}");
    // Whatever else is asked of it fails too, and nothing panics or waits.
    assert!(gpu.session(&Default::default(), &[]).is_err());

    let last = Checkpoint::load(&run.checkpoint("last")).unwrap();
    assert_eq!(last.header.state.epoch, 1);
    let cpu = Cpu::<f32>::new();
    let mut trainer = Trainer::new(&config, &data, &cpu, cpu.options(), Some(&last)).unwrap();
    trainer.run(&run, &mut ()).unwrap();
    let epochs: Vec<u64> = run.metrics().unwrap().iter().map(|line| line.epoch).collect();
    assert_eq!(epochs, [1, 2, 3, 4]);
    assert!(fs::read_dir(run.path()).unwrap().all(|file| !file.unwrap().path().ends_with(".part")));
}

#[test]
fn what_does_not_fit_a_binding_is_told_with_what_would() {
    let Some(gpu) = gpu(GpuOptions::default()) else { return };
    let allowed = gpu.binding_limit().unwrap();
    // Of more than WebGPU's default, what does not fit is more memory than machines have, which is told first.
    if allowed > 128 << 20 {
        return eprintln!(
            "SKIPPED: needs an adapter that binds at most 128 MiB at once, this one binds {}",
            allowed >> 20
        );
    }
    // Just one row more than fits an activation, of a layer that is small beside it.
    let rows = 400;
    let hidden = (allowed as usize / 4).div_ceil(rows) + 1;
    let config = config(rows, hidden);
    let data = config.dataset().unwrap();
    let refused = |config: &TrainConfig| match Trainer::new(config, &data, &gpu, Options::default(), None) {
        Ok(_) => panic!("it fits"),
        Err(error) => error.to_string(),
    };
    let message = refused(&config);
    assert!(message.contains(&format!("an activation of {rows} images needs")), "{message}");
    assert!(
        message.contains(&format!("this adapter allows {} MiB: use --batch-size up to", allowed >> 20)),
        "{message}"
    );
    let (_, fitting) = message.split_once("up to ").unwrap();
    let fitting: usize = fitting.split_once(',').unwrap().0.parse().unwrap();
    assert!((rows / 2..rows).contains(&fitting), "{message}");
    let wide = TrainConfig { hidden: Some(vec![allowed as usize / 64]), ..config };
    assert!(refused(&wide).contains("the model needs"), "{}", refused(&wide));
}

#[test]
fn what_no_machine_has_memory_for_is_refused() {
    let config = config(100, 1 << 24);
    let config = TrainConfig { hidden: Some(vec![1 << 24; 2]), ..config };
    let data = config.dataset().unwrap();
    let Err(error) = Trainer::new(&config, &data, &Cpu::<f32>::new(), Options::default(), None) else {
        panic!("it fits")
    };
    assert!(error.to_string().contains("which this machine does not have: use smaller layers"), "{error}");
}

#[test]
fn submissions_of_any_length_leave_the_same_bytes() {
    let Some(gpu) = gpu(GpuOptions::default()) else { return };
    let model = vae_gpu::models::Model::new(ModelConfig {
        encoder: Layer::dense(&[9], Activation::Relu),
        ..ModelConfig::vae(16)
    })
    .unwrap();
    let config = config(100, 9);
    let data = config.dataset().unwrap();
    let batches = vae_gpu::models::Batches::new(0, 500, data.train.dtype(), 100);
    let optimiser = vae_gpu::optim::Optimiser::default();
    let graphs = model.training(&batches, &optimiser).unwrap();
    let steps: Vec<vae_gpu::step::Step> = (0..20)
        .map(|index| {
            let first = (index as u32 * 100) % 500;
            let scalars = scalars(1e-3, index + 1);
            vae_gpu::step::Step { index, first, rows: 100, seed: 1, scalars, ..Default::default() }
        })
        .collect();
    let mut left: Vec<(Vec<f32>, Vec<f64>)> = Vec::new();
    for (length, pieces) in [(20, 1), (7, 1), (1, 1), (1, 3), (3, 1000)] {
        let mut session = gpu.open_session(model.layout(), &[data.train.resident()]).unwrap();
        session.write_arena(PARAMETERS, &model.layout().initial(3)).unwrap();
        let load = |graph| session.load(vae_gpu::plan::compile(graph, Options::default()).unwrap()).unwrap();
        let programs: Vec<_> = graphs.iter().map(load).collect();
        session.split_steps(pieces);
        let mut recorded = Vec::new();
        for steps in steps.chunks(length) {
            recorded.extend_from_slice(session.run(&programs, steps).unwrap().values());
        }
        left.push((session.read_arena(PARAMETERS).unwrap(), recorded));
    }
    assert!(left.windows(2).all(|pair| pair[0] == pair[1]));
}
