//! What is kept of an adapter between runs: a profile changes the kernels and not the results, one that is damaged or
//! another adapter's does not, and compiled kernels come back.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{Check, Tolerance, a_step, gpu};
use assert_cmd::Command;
use predicates::prelude::*;
use std::path::{Path, PathBuf};
use vae_gpu::backend::gpu::{Gpu, GpuOptions};
use vae_gpu::backend::{Adapter, Device, DeviceChoice, TunedKernel, TuningCache, select};
use vae_gpu::graph::{Graph, ParameterLayout};
use vae_gpu::ops::{Algorithm, Transpose};
use vae_gpu::plan::{Options, compile};
use vae_gpu::tensor::Shape;

/// A product on the device, [60, 30] [30, 70].
fn product(device: &dyn Device) -> Vec<f64> {
    let mut graph = Graph::new(ParameterLayout::default());
    let a = graph.input("a", Shape::new(60, 30));
    let b = graph.input("b", Shape::new(30, 70));
    let c = graph.matmul(a, b, Transpose::Neither).unwrap(); // [60, 70]
    graph.output("c", c);
    let mut session = device.session(graph.layout(), &[]).unwrap();
    let program = session.load(compile(&graph, Options::default()).unwrap()).unwrap();
    let values = |len: usize| (0..len).map(|i| (i as f32 * 0.7).sin()).collect::<Vec<_>>();
    session.write_input(program, "a", &values(60 * 30)).unwrap();
    session.write_input(program, "b", &values(30 * 70)).unwrap();
    session.run(&[program], &[a_step(1)]).unwrap();
    session.read_output(program, "c").unwrap().into_iter().map(f64::from).collect()
}

fn opened(kept: &TuningCache) -> vae_gpu::backend::Selected {
    select(&DeviceChoice::Gpu, kept).unwrap()
}

fn choices(variant: Algorithm) -> [TunedKernel; 1] {
    [TunedKernel { size: [60, 70, 30], variant, why: "for a test".to_owned() }]
}

#[test]
fn a_profile_is_read_when_the_device_is_opened() {
    let Some(device) = gpu(GpuOptions::default()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let kept = TuningCache::Folder(folder.path().to_owned());
    let wanted = product(&device);
    assert!(!opened(&kept).why.contains("products as"), "there is none yet");
    for variant in Algorithm::ALL {
        let path = kept.write(&device.adapter(), &choices(variant)).unwrap();
        let selected = opened(&kept);
        assert!(selected.why.contains(&path.display().to_string()), "{}", selected.why);
        assert_eq!(selected.notes, [""; 0]);
        Tolerance::rounding(30).check(variant.name(), &product(&*selected.device), &wanted);
    }
}

#[test]
fn the_products_of_a_configuration_are_tuned() {
    let Some(_) = gpu(GpuOptions::default()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let config = "hidden = [8]\nlatent = 2\nbatch-size = 16\ndata = \"uniform:64x16\"\n";
    std::fs::write(folder.path().join("tiny.toml"), config).unwrap();
    let args =
        ["bench", "--tune", "--device", "gpu", "--seconds", "0.5", "--config", "tiny.toml", "--profile", "mine.toml"];
    Command::cargo_bin("vae-gpu").unwrap().current_dir(folder.path()).args(args).assert().success();
    let profile = std::fs::read_to_string(folder.path().join("mine.toml")).unwrap();
    let sizes: Vec<&str> =
        profile.lines().filter_map(|line| line.split_once(" = \"")?.0.contains('x').then_some(line)).collect();
    assert!(sizes.iter().any(|line| line.starts_with("16x8x16 ")) && sizes.len() < 12, "{profile}");
}

#[test]
fn another_adapters_profile_is_noted_and_not_used() {
    let Some(device) = gpu(GpuOptions::default()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let kept = TuningCache::File(folder.path().join("mine.toml"));
    let other = Adapter { name: "another".to_owned(), ..device.adapter() };
    kept.write(&other, &choices(Algorithm::Naive)).unwrap();
    let selected = opened(&kept);
    assert!(!selected.why.contains("products as"), "{}", selected.why);
    let [note] = &selected.notes[..] else { panic!("{:?}", selected.notes) };
    assert!(note.contains("mine.toml is not used: it was measured with adapter \"another\""), "{note}");
}

#[test]
fn the_commands_tell_of_profiles() {
    let Some(device) = gpu(GpuOptions::default()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let kept = TuningCache::File(folder.path().join("mine.toml"));
    let run = |args: &[&str]| {
        let mut command = Command::cargo_bin("vae-gpu").expect("the binary is built with the tests");
        command.current_dir(folder.path()).env("VAE_GPU_PROFILE", "mine.toml").args(args).assert()
    };
    kept.write(&device.adapter(), &choices(Algorithm::Naive)).unwrap();
    run(&["devices"]).success().stdout(predicate::str::contains("mine.toml, in use for 1 sizes of products"));
    let other = Adapter { driver: Some("another".to_owned()), ..device.adapter() };
    kept.write(&other, &[]).unwrap();
    run(&["devices"]).success().stdout(predicate::str::contains("mine.toml, not used: it was measured with driver"));
    let tiny = ["--data", "uniform:64x16", "--hidden", "8", "--latent", "2", "--batch-size", "16", "--epochs", "1"];
    let train = [&["train", "--device", "gpu"], &tiny[..]].concat();
    let noted = predicate::str::contains("note: profile mine.toml is not used");
    run(&[&train[..], &["--out", "run"]].concat()).success().stderr(noted);
    std::fs::write(folder.path().join("mine.toml"), "version = 1\n").unwrap();
    let named = || predicate::str::contains("mine.toml").and(predicate::str::contains("line 1"));
    run(&[&train[..], &["--out", "other"]].concat()).code(1).stderr(named());
    run(&["devices"]).success().stdout(named());
    assert!(!folder.path().join("other").exists());
}

/// Every file in a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn compiled_kernels_are_kept_and_damaged_ones_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("made");
    let run = || -> Option<Vec<f64>> {
        let mut device: Gpu = gpu(GpuOptions::default())?;
        device.keep_pipelines(&kept);
        Some(product(&device))
    };
    let Some(wanted) = run() else { return };
    if !kept.exists() {
        eprintln!("SKIPPED: the driver gives out no compiled kernels");
        return;
    }
    let [file] = &files(&kept)[..] else { panic!("one file: {:?}", files(&kept)) };
    let whole = std::fs::read(file).unwrap();
    assert_eq!(run().unwrap(), wanted, "from compiled kernels");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [&whole[..whole.len() / 2], &b""[..], &b"something else"[..], &flipped[..]] {
        std::fs::write(file, damaged).unwrap();
        assert_eq!(run().unwrap(), wanted);
        assert_ne!(std::fs::read(file).unwrap(), damaged, "it was replaced");
        assert_eq!(files(&kept).len(), 1);
    }
}
