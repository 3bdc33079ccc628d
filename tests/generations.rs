//! `eval --generations`: how near samples are to real images.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;
use std::path::Path;
use vae_gpu::backend::Device;
use vae_gpu::backend::cpu::Cpu;
use vae_gpu::config::TrainConfig;
use vae_gpu::data::{ImageSize, Images, Values, npy};
use vae_gpu::models::{Model, ModelConfig};
use vae_gpu::rng::{Draw, Stream};
use vae_gpu::train::generate::LatentSource;
use vae_gpu::train::generations::{Generated, Generations};

/// Runs a command on the CPU in this folder.
fn run(folder: &Path, args: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("vae-gpu").unwrap();
    command.current_dir(folder).args(args).args(["--device", "cpu"]).assert()
}

fn train(folder: &Path, model: &str) {
    let options = ["--hidden", "8", "--latent", "2", "--data", "uniform:64x16", "--batch-size", "16", "--epochs", "2"];
    run(folder, &[&["train", "--model", model, "--out", model, "--quiet"], &options[..]].concat()).success();
}

fn evaluated(folder: &Path, args: &[&str]) -> Value {
    let output = run(folder, &[&["eval"], args, &["--samples", "0", "--json", "-"]].concat());
    serde_json::from_slice(&output.success().get_output().stdout).unwrap()
}

fn spaces(result: &Value) -> Vec<(&str, u64, u64)> {
    let spaces = result["generations"]["spaces"].as_array().unwrap();
    let number = |space: &Value, name: &str| space[name].as_u64().unwrap();
    spaces
        .iter()
        .map(|space| (space["space"].as_str().unwrap(), number(space, "dims"), number(space, "generated")))
        .collect()
}

#[test]
fn samples_of_every_model_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    for (model, from, has_codes) in [("vae", "prior", true), ("ae", "mixture", true), ("gan", "prior", false)] {
        train(folder.path(), model);
        let result = evaluated(folder.path(), &[model, "--generations", "40", "--seed", "3"]);
        let expected = [("pixels", 16, 40), ("codes", 2, 40)];
        assert_eq!(spaces(&result), expected[..1 + usize::from(has_codes)], "{model}");
        let generations = &result["generations"];
        assert_eq!((&generations["from"], &generations["seed"]), (&Value::from(from), &Value::from(3)));
        for figure in ["frechet", "kernel", "precision", "recall", "density", "coverage"] {
            assert!(generations["spaces"][0][figure].is_number(), "{model}: {figure}");
        }
        assert_eq!(result["mse"].is_number(), has_codes, "{model}");
        assert!(folder.path().join(format!("{model}/figures/nearest-{from}-seed3.png")).exists());
        assert_eq!(result, evaluated(folder.path(), &[model, "--generations", "40", "--seed", "3"]), "{model}: again");
    }
    run(folder.path(), &["eval", "vae", "--samples", "0", "--generations", "9", "--from", "gaussian"])
        .success()
        .stdout(
            predicate::str::contains("9 from the gaussian, seed 0").and(predicate::str::contains("to training images")),
        );
}

#[test]
fn features_are_read_and_wrong_options_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    train(folder.path(), "vae");
    let rows = |count: usize, dims: usize| (0..count * dims).map(|i| (i * 37 % 101) as f32).collect::<Vec<f32>>();
    for (name, count, dims) in [("real.npy", 20, 5), ("generated.npy", 30, 5), ("other.npy", 30, 4), ("one.npy", 1, 5)]
    {
        npy::write_f32(&at(name), count, dims, &rows(count, dims)).unwrap();
    }
    std::fs::write(at("text.npy"), "no array").unwrap();
    let features =
        |real, generated| ["vae", "--generations", "8", "--features-real", real, "--features-generated", generated];
    let result = evaluated(folder.path(), &features("real.npy", "generated.npy"));
    assert_eq!(spaces(&result), [("pixels", 8, 8), ("codes", 2, 8), ("features", 5, 30)]);
    let refused = |args: &[&str], code: i32, why: &str| {
        let args = [&["eval"], args, &["--samples", "0"]].concat();
        run(folder.path(), &args).code(code).stderr(predicate::str::contains(why));
    };
    refused(&features("real.npy", "other.npy"), 2, "real examples have 5 values, generated ones 4");
    refused(&features("one.npy", "generated.npy"), 1, "one.npy");
    refused(&features("real.npy", "text.npy"), 1, "text.npy");
    refused(&features("real.npy", "missing.npy"), 1, "missing.npy");
    refused(&["vae", "--generations", "1"], 2, "1 is not in 2..=100000");
    refused(&["vae", "--from", "prior"], 2, "--generations");
    refused(&["vae", "--generations", "8", "--features-real", "real.npy"], 2, "--features-generated");
    train(folder.path(), "gan");
    refused(&["gan", "--generations", "8", "--from", "mixture"], 2, "gan has no encoder");
    refused(&["gan"], 2, "gan can't be evaluated");
}

/// Samples that are training images are found out, and look as real as these.
#[test]
fn copies_are_found() {
    let pixels = |first: usize, count: usize| {
        let draw = Draw { seed: 1, stream: Stream::Synthetic, step: first as u64 };
        let value = |i: usize| (draw.bits(0, i as u32) >> 24) as u8;
        Images::new(ImageSize::grey(8, 8), Values::Bytes((0..count * 64).map(value).collect()))
    };
    let (training, real) = (pixels(0, 1200), pixels(5000, 100));
    let Values::Bytes(bytes) = &training.pixels else { unreachable!() };
    let copies: Vec<f32> = bytes[..64 * 100].iter().map(|&byte| f32::from(byte) / 255.0).collect();
    let model = Model::new(ModelConfig { image: [8, 8, 1], latent: 2, ..ModelConfig::vae(64) }).unwrap();
    let mut session = Cpu::<f32>::new().session(model.layout(), &[]).unwrap();
    let generated = Generated {
        conditions: &[],
        images: &copies,
        from: LatentSource::Prior,
        seed: 0,
        real: &real,
        training: &training,
        features: None,
    };
    let Generations { nearest_training, nearest_training_of_real, nearest, .. } =
        generated.measure(&mut *session, &model, &TrainConfig::default()).unwrap();
    assert!(
        nearest_training < 1e-6 && nearest_training_of_real > 0.01,
        "{nearest_training} {nearest_training_of_real}"
    );
    assert!(nearest.iter().zip(&copies).all(|(a, b)| (a - b).abs() < 1e-6) && nearest.len() == 64 * 64);
}
