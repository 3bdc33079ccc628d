//! Sweeps: each run once, whatever interrupts them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::vae_gpu;
use predicates::str::contains;

/// Twelve configurations.
const SWEEP: &str = "
[options]
data = 'uniform:600x16'
hidden = [8]
batch-size = 50
epochs = 3

[grid]
latent = [2, 3, 4]
beta = [0.5, 2.0]
seed = [1, 2]
";

/// A folder with this sweep.
fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("small.toml"), text).unwrap();
    folder
}

/// Runs with so many epochs each, by name.
fn runs(folder: &Path) -> Vec<(String, usize)> {
    let mut all: Vec<(String, usize)> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| {
            let lines = std::fs::read_to_string(entry.path().join("metrics.jsonl")).unwrap_or_default();
            (entry.file_name().into_string().unwrap(), lines.lines().count())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn a_sweep_that_is_killed_goes_on_where_it_was() {
    let folder = folder(SWEEP);
    let path = folder.path();
    for turn in 0..4 {
        let mut sweep = Command::new(env!("CARGO_BIN_EXE_vae-gpu"))
            .current_dir(path)
            .env("VAE_GPU_PROFILE", "none")
            .args(["sweep", "small.toml", "--quiet"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(150 + 70 * turn));
        sweep.kill().unwrap();
        sweep.wait().unwrap();
    }
    let before = runs(&path.join("runs/small"));
    assert!(before.iter().any(|(_, epochs)| *epochs > 0), "{before:?}: it was killed before it did anything");
    vae_gpu(path, &["sweep", "small.toml"]).assert().success().stdout(contains("best test loss"));
    let after = runs(&path.join("runs/small"));
    assert_eq!((after.len(), after.iter().map(|(_, epochs)| *epochs).collect::<Vec<_>>()), (12, vec![3; 12]));
    assert_eq!(after[0].0, "beta=0.5,latent=2,seed=1");
    // Nothing is left to do; a table of all of them all the same.
    let again = vae_gpu(path, &["sweep", "small.toml"]).assert().success().get_output().stdout.clone();
    let again = String::from_utf8(again).unwrap();
    assert!(again.lines().count() == 13 && !again.contains("epoch 1/3"), "{again}");
    vae_gpu(path, &["compare", "runs/small"]).assert().success().stdout(contains("latent"));
    vae_gpu(path, &["compare", "runs/small/beta=2,latent=4,seed=2"]).assert().code(2).stderr(contains("one run"));
    // More epochs go on; another batch size is another sweep.
    std::fs::write(path.join("small.toml"), SWEEP.replace("epochs = 3", "epochs = 4")).unwrap();
    vae_gpu(path, &["sweep", "small.toml", "--only", "11", "--quiet"]).assert().success();
    assert_eq!(runs(&path.join("runs/small"))[11], ("beta=2,latent=4,seed=2".to_owned(), 4));
    std::fs::write(path.join("small.toml"), SWEEP.replace("batch-size = 50", "batch-size = 60")).unwrap();
    vae_gpu(path, &["sweep", "small.toml"])
        .assert()
        .code(2)
        .stderr(contains("a run of another sweep: --batch-size 60"));
}

#[test]
fn each_run_can_be_trained_elsewhere() {
    let folder = folder(SWEEP);
    let path = folder.path();
    let printed = |args: &[&str]| {
        let output = vae_gpu(path, &[&["sweep", "small.toml", "--out", "a b"][..], args].concat()).assert().success();
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    };
    let commands = printed(&["--print", "commands"]);
    assert_eq!(commands.lines().count(), 12);
    let third = commands.lines().nth(2).unwrap();
    assert_eq!(third, "vae-gpu sweep small.toml --out 'a b' --quiet --only 2");
    let slurm = printed(&["--print", "slurm"]);
    assert!(slurm.starts_with("#!/bin/sh\n") && slurm.contains("--array=0-11\n"), "{slurm}");
    assert!(slurm.ends_with("--only \"$SLURM_ARRAY_TASK_ID\"\n"), "{slurm}");
    assert!(runs(&path.join("a b")).is_empty());
    let words: Vec<String> = shlex::split(third).unwrap();
    let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
    vae_gpu(path, &words).assert().success();
    assert_eq!(runs(&path.join("a b")), [("beta=0.5,latent=3,seed=1".to_owned(), 3)]);
    let among = vae_gpu(path, &["sweep", "small.toml"]).env("OMPI_COMM_WORLD_SIZE", "2").assert();
    among.code(2).stderr(contains("without mpirun"));
    vae_gpu(path, &["sweep", "small.toml", "--only", "12"]).assert().code(2).stderr(contains("0 to 11"));
}

#[test]
fn a_run_that_fails_is_named_and_the_others_are_trained() {
    let folder = folder(&format!("{SWEEP}\n[[runs]]\nlr = 1e30\n[[runs]]\nlr = 1e-3\n").replace("seed = [1, 2]", ""));
    let swept = vae_gpu(folder.path(), &["sweep", "small.toml", "--quiet"]).assert().code(1);
    let told = String::from_utf8(swept.get_output().stderr.clone()).unwrap();
    assert!(told.contains("6 of 12 runs failed") && told.contains("lr=1e30: "), "{told}");
    let whole = runs(&folder.path().join("runs/small")).into_iter().filter(|(_, epochs)| *epochs == 3);
    assert_eq!(whole.count(), 6);
    let wrong = self::folder("[grid]\nlatent = [0, 2]\n");
    vae_gpu(wrong.path(), &["sweep", "small.toml"]).assert().code(1).stderr(contains("latent=0: --latent holds 0"));
    assert!(!wrong.path().join("runs").exists());
}
