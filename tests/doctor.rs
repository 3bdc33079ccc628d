//! What `train`, `eval` and `report` say of a run that ails, and that they say nothing of one that does not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use assert_cmd::Command;
use std::path::Path;
use vae_gpu::data::npy;
use vae_gpu::rng::{Draw, Stream};

const FEATURES: usize = 64;

/// Waves of two random numbers each, nearly black and white; with noise, nothing of one is in another.
fn waves(file: &Path, count: u32, noise: f32) {
    let draw = Draw { seed: 5, stream: Stream::Synthetic, step: 0 };
    let value = |i: u32, e: u32| {
        let [phase, height] = [0, 1].map(|k| draw.uniform(i, k));
        let wave = (12.0 * e as f32 / FEATURES as f32 + std::f32::consts::TAU * phase).sin() * (0.5 + height);
        let shown = if wave > 0.1 { 0.98 } else { 0.02 };
        (shown + noise * draw.normal(i, 2 + e)).clamp(0.0, 1.0)
    };
    let values: Vec<f32> = (0..count).flat_map(|i| (0..FEATURES as u32).map(move |e| value(i, e))).collect();
    npy::write_f32(file, count as usize, FEATURES, &values).unwrap();
}

/// What a command prints.
fn printed(folder: &Path, args: &[&str]) -> String {
    let mut command = Command::cargo_bin("vae-gpu").unwrap();
    let done = command.current_dir(folder).args(args).args(["--device", "cpu"]).assert().success();
    String::from_utf8(done.get_output().stdout.clone()).unwrap()
}

/// The names of what the doctor found.
fn found(text: &str) -> Vec<&str> {
    let findings = text.lines().filter_map(|line| line.strip_prefix("doctor: "));
    findings.map(|finding| finding.split_once(':').unwrap().0).collect()
}

#[test]
fn runs_that_ail_are_told_and_one_that_is_well_is_not() {
    let folder = tempfile::tempdir().unwrap();
    waves(&folder.path().join("waves.npy"), 1200, 0.0);
    waves(&folder.path().join("noisy.npy"), 100, 0.4);
    let train = |name: &str, options: &[&str]| {
        let text = printed(folder.path(), &[&["train", "--out", name, "--latent", "4"], options].concat());
        let report = printed(folder.path(), &["report", name]);
        assert!(report.contains("report.html"), "{report}");
        let page = std::fs::read_to_string(folder.path().join(name).join("report.html")).unwrap();
        assert_eq!(page.contains("What ails this run"), text.contains("doctor: "), "{name}");
        text
    };
    let waves = ["--data", "waves.npy", "--batch-size", "20"];
    let healthy = train("healthy", &[&waves[..], &["--hidden", "32", "--epochs", "12"]].concat());
    assert_eq!(found(&healthy), [""; 0], "{healthy}");
    assert_eq!(found(&printed(folder.path(), &["eval", "healthy", "--samples", "0"])), [""; 0]);

    let collapsed = train("collapsed", &[&waves[..], &["--hidden", "32", "--epochs", "3", "--beta", "100"]].concat());
    assert_eq!(found(&collapsed), ["collapse"], "{collapsed}");
    assert!(collapsed.contains("0 of 4 latent dimensions") && collapsed.contains("--beta"), "{collapsed}");
    assert_eq!(found(&printed(folder.path(), &["eval", "collapsed", "--samples", "0"])), ["collapse"]);

    let steps = ["--hidden", "64", "--epochs", "8", "--lr", "0.1", "--loss", "mse", "--activation", "identity"];
    let diverging = train("diverging", &[&waves[..], &steps].concat());
    assert!(found(&diverging).contains(&"divergence"), "{diverging}");
    assert!(diverging.contains("lower --lr"), "{diverging}");

    let heart = ["--data", "noisy.npy", "--split", "0.5", "--hidden", "256", "--batch-size", "10", "--lr", "3e-3"];
    let overfitted = train("overfitted", &[&heart[..], &["--epochs", "80", "--beta", "0.2"]].concat());
    assert_eq!(found(&overfitted), ["overfitting"], "{overfitted}");
    assert!(overfitted.contains("--patience"), "{overfitted}");
}
