//! The command: wrong input is an error that names it, with the right exit code and nothing half-written.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use assert_cmd::Command;
use predicates::prelude::*;
use std::path::Path;

fn vae_gpu(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("vae-gpu").expect("the binary is built with the tests");
    command.current_dir(folder);
    command
}

#[test]
fn wrong_flags_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let wrong: [(&[&str], &str); 9] = [
        (&["--latent", "0"], "latent"),
        (&["--hidden", ","], "hidden"),
        (&["--batch-size", "0"], "batch-size"),
        (&["--batch-size", "60001"], "batch-size"),
        (&["--epochs", "0"], "epochs"),
        (&["--lr", "nan"], "lr"),
        (&["--beta=-1"], "beta"),
        (&["--activation", "relo"], "activation"),
        (&["--device", "99"], "99"),
    ];
    for (flags, named) in wrong {
        let assert = vae_gpu(folder.path()).args(["train", "--out", "run"]).args(flags).assert();
        assert.code(2).stderr(predicate::str::contains(named).and(predicate::str::contains("panicked").not()));
        assert!(!folder.path().join("run").exists(), "{flags:?} left something behind");
    }
}

#[test]
fn wrong_data_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/mnist");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    for entry in std::fs::read_dir(assets).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), data.join(entry.file_name())).unwrap();
    }
    let file = data.join("t10k-images-idx3-ubyte.gz");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let fails = || {
        let assert = vae_gpu(folder.path()).args(["train", "--data", "data", "--out", "run"]).assert();
        assert.code(1).stderr(predicate::str::contains("t10k-images"));
        assert!(!folder.path().join("run").exists());
    };
    fails();
    std::fs::remove_file(&file).unwrap();
    let plain = data.join("t10k-images-idx3-ubyte");
    for header in [[0, 0, 8, 1, 0, 0, 0, 1], [0, 0, 8, 3, 0, 0, 0, 9]] {
        std::fs::write(&plain, [&header[..], &[0, 0, 0, 28, 0, 0, 0, 28, 7]].concat()).unwrap();
        fails();
    }
}

#[test]
fn an_unwritable_out_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "in the way").unwrap();
    let assert = vae_gpu(folder.path()).args(["train", "--device", "cpu", "--out", "file/run"]).assert();
    assert.code(1).stderr(predicate::str::contains("file/run"));
}

#[test]
fn a_checkpoint_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    vae_gpu(folder.path()).args(["sample"]).assert().failure().stderr(predicate::str::contains("runs"));
    let checkpoints = folder.path().join("run/checkpoints");
    std::fs::create_dir_all(&checkpoints).unwrap();
    std::fs::write(folder.path().join("run/config.toml"), "").unwrap();
    std::fs::write(checkpoints.join("best.safetensors"), "not a checkpoint").unwrap();
    let assert = vae_gpu(folder.path()).args(["sample", "run", "--device", "cpu"]).assert();
    assert.code(1).stderr(predicate::str::contains("best.safetensors"));
}
