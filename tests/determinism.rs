//! What equal runs share: on one device every byte, resumed or not, fused or not, whatever the number of threads; on the CPU
//! and a GPU noise and order, and losses up to rounding.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{Check, Tolerance, gpu};
use std::path::Path;
use vae_gpu::backend::Device;
use vae_gpu::backend::cpu::Cpu;
use vae_gpu::backend::gpu::GpuOptions;
use vae_gpu::config::TrainConfig;
use vae_gpu::data::{Dataset, Synthetic};
use vae_gpu::models::ModelKind;
use vae_gpu::plan::{Fusion, Options};
use vae_gpu::train::{Checkpoint, RunFolder, TracedStep, Trainer};

/// Large enough that every op is shared among threads.
fn config(model: ModelKind, epochs: u64) -> TrainConfig {
    TrainConfig {
        model,
        hidden: Some(vec![70]),
        latent: if model == ModelKind::Contractive { 2 } else { 70 },
        batch_size: 65,
        epochs,
        clip_norm: Some(1.0),
        weight_decay: 0.01,
        lr_schedule: "steps:1:0.5".parse().unwrap(),
        samples: if model == ModelKind::Iwae { 3 } else { 1 },
        ..TrainConfig::default()
    }
}

fn data() -> Dataset {
    Dataset::synthetic(Synthetic::Uniform, 140, 75, 3)
}

/// The last checkpoint of a run, which begins anew or goes on.
fn train(device: &dyn Device, fuse: Fusion, path: &Path, config: &TrainConfig, resume: bool) -> Vec<u8> {
    let last = path.join("checkpoints/last.safetensors");
    let from = resume.then(|| Checkpoint::load(&last).unwrap());
    let run = if resume { RunFolder::open(path) } else { RunFolder::create(path, config) }.unwrap();
    let data = data();
    let mut trainer = Trainer::new(config, &data, device, Options::new(fuse), from.as_ref()).unwrap();
    trainer.run(&run, &mut ()).unwrap();
    assert_eq!(RunFolder::open(path).unwrap().metrics().unwrap().len() as u64, config.epochs);
    std::fs::read(last).unwrap()
}

/// Each model, fused and not: two runs, and one that was resumed after its first epoch.
fn equal_runs_leave_equal_bytes(device: &dyn Device) {
    for &model in ModelKind::ALL {
        for fuse in [Fusion::None, device.options().fuse] {
            let folder = tempfile::tempdir().unwrap();
            let run = |name: &str, epochs, resume| {
                train(device, fuse, &folder.path().join(name), &config(model, epochs), resume)
            };
            let straight = run("a", 3, false);
            assert!(straight == run("b", 3, false), "{model:?}, {fuse:?}: two runs with one seed differ");
            assert!(straight != run("c", 1, false), "{model:?}, {fuse:?}: three epochs must differ from one");
            assert!(straight == run("c", 3, true), "{model:?}, {fuse:?}: a resumed run differs");
            let density = folder.path().join("a/checkpoints/best.mixture.safetensors");
            let prior = [ModelKind::Vae, ModelKind::Iwae, ModelKind::Gan].contains(&model);
            assert_eq!(density.exists(), !prior, "{model:?}");
        }
    }
}

#[test]
fn equal_runs_leave_equal_bytes_on_the_cpu() {
    equal_runs_leave_equal_bytes(&Cpu::<f32>::new());
}

#[test]
fn equal_runs_leave_equal_bytes_on_the_gpu() {
    let Some(mut device) = gpu(GpuOptions::default()) else { return };
    // Each run builds its kernels anew; they are compiled once.
    let compiled = tempfile::tempdir().unwrap();
    device.keep_pipelines(compiled.path());
    equal_runs_leave_equal_bytes(&device);
}

#[test]
fn any_number_of_threads_leaves_the_same_bytes() {
    for &model in ModelKind::ALL {
        for fuse in [Fusion::None, Fusion::Epilogues] {
            let on = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("run");
                pool.install(|| train(&Cpu::<f32>::new(), fuse, &path, &config(model, 1), false))
            };
            let one = on(1);
            for threads in [2, 3, 8] {
                assert!(one == on(threads), "{model:?}, {fuse:?}: {threads} threads leave other bytes than one");
            }
        }
    }
}

#[test]
fn a_thousand_steps_on_the_gpu_have_the_losses_of_the_cpu() {
    let Some(device) = gpu(GpuOptions::default()) else { return };
    // An epoch of MNIST.
    let config = TrainConfig { hidden: Some(vec![32]), latent: 4, batch_size: 60, epochs: 1, ..TrainConfig::default() };
    let data = config.dataset().unwrap();
    let losses = |device: &dyn Device| -> Vec<TracedStep> {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::create(&folder.path().join("run"), &config).unwrap();
        let mut trainer = Trainer::new(&config, &data, device, device.options(), None).unwrap();
        trainer.trace_steps(1000);
        trainer.run(&run, &mut ()).unwrap();
        trainer.trace().to_vec()
    };
    let (ours, wanted) = (losses(&device), losses(&Cpu::<f32>::new()));
    assert_eq!((ours.len(), wanted.len()), (1000, 1000));
    // Adam and the noise are the same, so only rounding sets them apart, and it does not grow much: see the README.
    for (ours, wanted) in ours.iter().zip(&wanted) {
        assert_eq!(ours.step, wanted.step);
        for (term, &wanted) in &wanted.losses {
            let what = format!("{term} of step {}", ours.step);
            Tolerance { relative: 1e-5, absolute: 1e-5 }.check(&what, &[ours.losses[term]], &[wanted]);
        }
    }
}

#[test]
fn steps_are_counted_past_32_bits() {
    let config = config(ModelKind::Vae, 2);
    let begun = TrainConfig { epochs: 1, ..config.clone() };
    // 3 steps an epoch: the second epoch's are 2^32 - 1, 2^32 and 2^32 + 1.
    let first = u64::from(u32::MAX);
    let go_on = |device: &dyn Device, first: u64| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        train(device, device.options().fuse, &path, &begun, false);
        let run = RunFolder::open(&path).unwrap();
        let mut checkpoint = Checkpoint::load(&run.checkpoint("last")).unwrap();
        checkpoint.header.state.step = first;
        let data = data();
        let options = device.options();
        let mut trainer = Trainer::new(&config, &data, device, options, Some(&checkpoint)).unwrap();
        trainer.trace_steps(u64::MAX);
        trainer.run(&run, &mut ()).unwrap();
        assert_eq!(Checkpoint::load(&run.checkpoint("last")).unwrap().header.state.step, first + 3);
        trainer.trace().to_vec()
    };
    let cpu = Cpu::<f32>::new();
    let wanted = go_on(&cpu, first);
    assert_eq!(wanted.iter().map(|step| step.step).collect::<Vec<_>>(), [first, first + 1, first + 2]);
    // Noise depends on the whole count: steps whose low words agree would have equal losses with a counter of 32 bits.
    for (later, step) in go_on(&cpu, first + (1 << 32)).iter().zip(&wanted) {
        assert_ne!(later.losses, step.losses);
    }
    if let Some(gpu) = gpu(GpuOptions::default()) {
        for (ours, wanted) in go_on(&gpu, first).iter().zip(&wanted) {
            let losses = |step: &TracedStep| step.losses.values().copied().collect::<Vec<_>>();
            Tolerance { relative: 1e-5, absolute: 1e-5 }.check("losses", &losses(ours), &losses(wanted));
        }
    }
}
