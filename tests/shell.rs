//! What a shell and `man` are given: completion scripts and manual pages that know every command.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use assert_cmd::Command;
use predicates::prelude::*;

const COMMANDS: [&str; 20] = [
    "train",
    "sample",
    "reconstruct",
    "eval",
    "score",
    "encode",
    "decode",
    "interpolate",
    "traverse",
    "export",
    "bench",
    "check",
    "devices",
    "completions",
    "man",
    "sweep",
    "runs",
    "compare",
    "report",
    "help",
];

fn vae_gpu() -> Command {
    Command::cargo_bin("vae-gpu").expect("the binary is built with the tests")
}

#[test]
fn completions_know_every_command_in_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let mut assert = vae_gpu().args(["completions", shell]).assert().success();
        for part in COMMANDS.iter().chain(&["safetensors", "free-bits"]) {
            assert = assert.stdout(predicate::str::contains(*part));
        }
    }
    vae_gpu().args(["completions", "tcsh"]).assert().code(2).stderr(predicate::str::contains("zsh"));
}

#[test]
fn manual_pages_are_printed_and_written() {
    vae_gpu().arg("man").assert().success().stdout(predicate::str::contains(".TH vae-gpu 1"));

    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man1");
    vae_gpu().arg("man").arg("--out").arg(&out).assert().success();
    for command in COMMANDS.iter().filter(|command| **command != "help") {
        let page = std::fs::read_to_string(out.join(format!("vae-gpu-{command}.1"))).unwrap();
        assert!(
            page.contains(&format!("vae\\-gpu {command}")) || page.contains(&format!("vae\\-gpu\\-{command}")),
            "{command}:\n{page}"
        );
    }
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), COMMANDS.len());

    std::fs::write(folder.path().join("file"), b"").unwrap();
    let file = folder.path().join("file");
    vae_gpu().arg("man").arg("--out").arg(file).assert().code(1).stderr(predicate::str::contains("making folder"));
}
