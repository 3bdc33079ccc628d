//! Runs that are stopped, killed or started twice: nothing is lost, and a resumed run ends in the bytes of one that was
//! never stopped. `VAE_GPU_KILLS=100` kills as often.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use vae_gpu::rng::{Draw, Stream};
use vae_gpu::train::Checkpoint;

const EPOCHS: &str = "6";

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vae-gpu"));
    command.current_dir(folder).env("VAE_GPU_PROFILE", "none").args(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A run of some seconds.
fn start(folder: &Path, name: &str) -> Child {
    let small = ["--data", "uniform:20000x64", "--hidden", "64", "--latent", "4", "--seed", "5", "--device", "cpu"];
    let args = [&["train", "--out", name, "--epochs", EPOCHS][..], &small].concat();
    command(folder, &args).spawn().unwrap()
}

fn resume(folder: &Path, name: &str) -> Child {
    command(folder, &["train", "--resume", name, "--epochs", EPOCHS]).spawn().unwrap()
}

fn send(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

/// Waits until the file holds so many lines.
fn wait_for_lines(path: &Path, lines: usize) {
    let began = Instant::now();
    while fs::read_to_string(path).unwrap_or_default().lines().count() < lines {
        assert!(began.elapsed() < Duration::from_secs(120), "{} has no {lines} lines", path.display());
        std::thread::sleep(Duration::from_millis(3));
    }
}

fn succeeded(child: Child) -> Output {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Checkpoint, and what each epoch's line says of losses and steps.
fn result(folder: &Path, name: &str) -> (Vec<u8>, Vec<String>) {
    let run = folder.join(name);
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let line = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let keys = ["epoch", "step", "train_loss", "train_kl", "test_loss", "lr"];
        keys.map(|key| format!("{key} {}", line[key])).join(" ")
    };
    (fs::read(run.join("checkpoints/last.safetensors")).unwrap(), text.lines().map(line).collect())
}

fn check_equal(folder: &Path, name: &str, wanted: &(Vec<u8>, Vec<String>)) {
    let got = result(folder, name);
    assert_eq!(got.1, wanted.1, "{name}: epochs differ");
    assert!(got.0 == wanted.0, "{name}: checkpoints differ");
}

#[test]
fn a_stopped_run_goes_on_to_the_same_bytes() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    succeeded(start(folder, "whole"));
    let wanted = result(folder, "whole");
    assert_eq!(wanted.1.len(), 6);
    for (name, signal, code) in [("int", "-INT", 130), ("term", "-TERM", 143)] {
        let child = start(folder, name);
        wait_for_lines(&folder.join(name).join("metrics.jsonl"), 2);
        send(&child, signal);
        let output = child.wait_with_output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert!(
            message.starts_with("stopped: after step ") && message.contains(&format!("--resume {name}")),
            "{message}"
        );
        let printed = String::from_utf8(succeeded(resume(folder, name)).stdout).unwrap();
        assert!(printed.contains("resumed after step "), "{printed}");
        check_equal(folder, name, &wanted);
    }
}

#[test]
fn a_run_of_short_epochs_stops_too() {
    let folder = TempDir::new().unwrap();
    let small = ["--data", "uniform:100x4", "--hidden", "4", "--latent", "2", "--batch-size", "50", "--device", "cpu"];
    let args = [&["train", "--out", "run", "--epochs", "1000000"][..], &small].concat();
    let mut child = command(folder.path(), &args).spawn().unwrap();
    wait_for_lines(&folder.path().join("run/metrics.jsonl"), 1);
    send(&child, "-TERM");
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(3));
    }
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn killed_runs_go_on_to_the_same_bytes() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let began = Instant::now();
    succeeded(start(folder, "whole"));
    let whole = began.elapsed();
    let wanted = result(folder, "whole");
    let kills = crate::common::tries("VAE_GPU_KILLS", 8);
    let moments = Draw { seed: 6, stream: Stream::Synthetic, step: 0 };
    let (mut killed, mut run) = (0, 0);
    while killed < kills {
        run += 1;
        let name = format!("run{run}");
        let mut child = start(folder, &name);
        loop {
            // Any moment of a run, and now and then past its end.
            std::thread::sleep(whole.mul_f32(0.6 * moments.uniform(killed, 0)));
            if child.try_wait().unwrap().is_some() {
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
            child = match folder.join(&name).join("config.toml").exists() {
                true => resume(folder, &name),
                false => start(folder, &name), // not even the run was there yet
            };
            if killed >= kills {
                break;
            }
        }
        let output = child.wait_with_output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        let finished = message.contains("has 6 epochs already");
        assert!(output.status.success() || finished, "{message}");
        check_equal(folder, &name, &wanted);
    }
}

#[test]
fn what_was_half_written_is_taken_away() {
    let folder = TempDir::new().unwrap();
    let child = start(folder.path(), "run");
    wait_for_lines(&folder.path().join("run/metrics.jsonl"), 1);
    send(&child, "-KILL");
    child.wait_with_output().unwrap();
    let left = folder.path().join("run/checkpoints/.tmpabc.part");
    fs::write(&left, "half").unwrap();
    succeeded(resume(folder.path(), "run"));
    assert!(!left.exists());
}

#[test]
fn two_processes_never_write_one_run() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let first = start(folder, "run");
    wait_for_lines(&folder.join("run/metrics.jsonl"), 1);
    let second = resume(folder, "run").wait_with_output().unwrap();
    let message = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(2), "{message}");
    assert!(message.contains("another process is training this run"), "{message}");
    send(&first, "-KILL");
    first.wait_with_output().unwrap();
    // The killed one's lock is gone with it.
    succeeded(resume(folder, "run"));
}

#[test]
fn a_second_signal_stops_at_once() {
    let folder = TempDir::new().unwrap();
    let child = start(folder.path(), "run");
    wait_for_lines(&folder.path().join("run/metrics.jsonl"), 1);
    send(&child, "-STOP"); // so that both are there before it can answer the first
    send(&child, "-INT");
    send(&child, "-TERM");
    send(&child, "-CONT");
    let output = child.wait_with_output().unwrap();
    assert!([Some(130), Some(143)].contains(&output.status.code()), "{:?}", output.status);
    succeeded(resume(folder.path(), "run"));
}

#[test]
fn the_first_number_that_goes_wrong_is_named() {
    let folder = TempDir::new().unwrap();
    let args =
        ["train", "--out", "run", "--data", "uniform:1000x16", "--hidden", "8", "--latent", "2", "--device", "cpu"];
    for (lr, parts) in
        [("1e30", ["step 1 ", "at step 1"]), ("1e39", ["step 1 ", "parameter encoder.0.weight, [8, 16]"])]
    {
        let output = command(folder.path(), &[&args[..], &["--lr", lr]].concat()).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains("replayed from there, the first value that is not finite is "), "{message}");
        assert!(parts.iter().all(|part| message.contains(part)), "{parts:?}: {message}");
        assert!(!folder.path().join("run/checkpoints/last.safetensors").exists());
        fs::remove_dir_all(folder.path().join("run")).unwrap();
    }
}

#[test]
fn a_run_whose_numbers_went_wrong_goes_on_with_a_lower_rate() {
    let folder = TempDir::new().unwrap();
    let train = ["train", "--data", "uniform:1000x16", "--hidden", "8", "--latent", "2", "--device", "cpu"];
    // The rate is raised after the first epoch, which is no checkpoint's business: it is the schedule's.
    let args = ["--out", "run", "--epochs", "3", "--lr", "0.01", "--lr-schedule", "steps:1:1e30"];
    let output = command(folder.path(), &[&train[..], &args].concat()).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("go on from there with a lower rate, vae-gpu train --resume run --lr 0.001"), "{message}");
    let good = fs::read(folder.path().join("run/checkpoints/last.safetensors")).unwrap();
    let resume = ["train", "--resume", "run", "--lr"];
    let output = command(folder.path(), &[&resume[..], &["0.001"]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "1e27 is no lower rate: {output:?}");
    assert!(fs::read(folder.path().join("run/checkpoints/last.safetensors")).unwrap() == good);
    succeeded(command(folder.path(), &[&resume[..], &["1e-33", "--clip-norm", "1"]].concat()).spawn().unwrap());
    let lines = fs::read_to_string(folder.path().join("run/metrics.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 3);
    let config: toml::Table = fs::read_to_string(folder.path().join("run/config.toml")).unwrap().parse().unwrap();
    assert_eq!((config["lr"].as_float(), config["clip-norm"].as_float()), (Some(1e-33), Some(1.0)));
}

#[test]
fn a_file_that_may_not_grow_is_named_and_the_checkpoint_before_stays() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let child = start(folder, "run");
    wait_for_lines(&folder.join("run/metrics.jsonl"), 1);
    send(&child, "-INT");
    child.wait_with_output().unwrap();
    let checkpoint = folder.join("run/checkpoints/last.safetensors");
    let before = fs::read(&checkpoint).unwrap();
    // Blocks of 512 bytes or of a KiB: both are less than a checkpoint.
    let limited = "ulimit -f 20; exec \"$0\" train --resume run --epochs 6";
    let output = Command::new("sh").args(["-c", limited, env!("CARGO_BIN_EXE_vae-gpu")]).current_dir(folder).output();
    let output = output.unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("error: writing run/") && message.contains("File too large"), "{message}");
    assert!(fs::read(&checkpoint).unwrap() == before, "the checkpoint before is not as it was");
    succeeded(resume(folder, "run"));
}

#[test]
fn a_folder_that_vanishes_is_named() {
    let folder = TempDir::new().unwrap();
    let child = start(folder.path(), "run");
    wait_for_lines(&folder.path().join("run/metrics.jsonl"), 1);
    // What is written meanwhile may keep it from being empty.
    while fs::remove_dir_all(folder.path().join("run")).is_err() {}
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("run/") && message.contains("No such file or directory"), "{message}");
}

#[test]
fn a_run_goes_on_with_other_data() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let train = ["train", "--out", "run", "--hidden", "8", "--latent", "2", "--device", "cpu", "--epochs", "1"];
    succeeded(command(folder, &[&train[..], &["--data", "uniform:1000x16"]].concat()).spawn().unwrap());
    for (data, epochs) in [("uniform:300x16", "2"), ("uniform:2000x16", "3")] {
        succeeded(command(folder, &["train", "--resume", "run", "--data", data, "--epochs", epochs]).spawn().unwrap());
    }
    let steps: Vec<u64> = fs::read_to_string(folder.join("run/metrics.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, [8, 8 + 3, 8 + 3 + 16]);
}

#[test]
fn a_run_stopped_within_an_epoch_needs_as_many_steps() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    // A signal may come at an epoch's end, where nothing is left of it: then once more.
    let stopped_within = || {
        let _ = fs::remove_dir_all(folder.join("run"));
        let child = start(folder, "run");
        wait_for_lines(&folder.join("run/metrics.jsonl"), 1);
        std::thread::sleep(Duration::from_millis(60));
        send(&child, "-INT");
        child.wait_with_output().unwrap();
        let checkpoint = Checkpoint::load(&folder.join("run/checkpoints/last.safetensors")).unwrap();
        checkpoint.header.state.within.is_some()
    };
    assert!((0..20).any(|_| stopped_within()), "no run was stopped within an epoch");
    let args = ["train", "--resume", "run", "--epochs", EPOCHS, "--data", "uniform:128x64"];
    let output = command(folder, &args).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("steps of an epoch: uniform:128x64 has but 1"), "{message}");
    succeeded(resume(folder, "run"));
}
