//! Where the program's output goes: a standard output that fails is told, and results are written to what the user named.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const TRAIN: [&str; 12] = [
    "--data",
    "uniform:40x16",
    "--hidden",
    "4",
    "--latent",
    "2",
    "--batch-size",
    "20",
    "--epochs",
    "3",
    "--device",
    "cpu",
];

fn vae_gpu(folder: &Path, args: &[&str], stdout: impl Into<Stdio>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vae-gpu"));
    command.current_dir(folder).env("VAE_GPU_PROFILE", "none").args(args); // never the user's own profile
    command.env("XDG_RUNTIME_DIR", folder); // without it a layer of Mesa's prints an error of its own
    command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap()
}

fn train(folder: &Path, name: &str) {
    let output = vae_gpu(folder, &[&["train", "--quiet", "--out", name], &TRAIN[..]].concat(), Stdio::piped());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Commands that print.
const PRINTING: [&[&str]; 10] = [
    &["--help"],
    &["--version"],
    &["train", "--help"],
    &["train", "--print-config"],
    &["completions", "zsh"],
    &["man"],
    &["devices"],
    &["runs", "."],
    &["runs", ".", "--json"],
    &["eval", "run", "--device", "cpu", "--samples", "0", "--json", "-"],
];

#[test]
fn a_standard_output_that_is_full_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    train(folder.path(), "run");
    let training = [&["train", "--out", "other"], &TRAIN[..]].concat();
    for args in PRINTING.into_iter().chain([training.as_slice()]) {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = vae_gpu(folder.path(), args, full);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {told}");
        assert_eq!(told.matches("error: writing standard output: No space left on device").count(), 1, "{told}");
    }
    let lines = fs::read_to_string(folder.path().join("other/metrics.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 3, "training goes on");

    let full = File::options().write(true).open("/dev/full").unwrap();
    let wrong = vae_gpu(folder.path(), &["sample", "run", "--device", "no such", "--out", "x.png"], full);
    assert_eq!(wrong.status.code(), Some(2), "the command's own error has its code");
}

#[test]
fn a_reader_who_has_gone_away_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    train(folder.path(), "run");
    for args in PRINTING {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = vae_gpu(folder.path(), args, writer);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && !told.contains("error"), "{args:?}: {told}");
    }
}

#[test]
fn a_result_is_written_through_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    train(folder.path(), "run");
    let path = folder.path().join("all.txt");
    fs::write(&path, "first\n").unwrap();
    let args = ["eval", "run", "--device", "cpu", "--samples", "0", "--json", "/dev/stdout"];
    for append in [true, false] {
        let open = File::options().write(true).append(append).truncate(!append).open(&path).unwrap();
        let before = fs::read_to_string(&path).unwrap();
        assert!(vae_gpu(folder.path(), &args, open).status.success());
        let text = fs::read_to_string(&path).unwrap();
        let printed = text.strip_prefix(&before).unwrap();
        let (table, rest) = printed.split_at(printed.find('{').unwrap());
        let (json, last) = rest.split_at(rest.rfind('}').unwrap() + 1);
        assert!(table.starts_with("device: ") && table.contains("squared error"), "{text}");
        assert!(serde_json::from_str::<serde_json::Value>(json).unwrap()["mse"].is_number());
        assert_eq!(last.trim(), "/dev/stdout");
    }
}

/// The command that a line of output ends with.
fn hint(text: &str, before: &str) -> String {
    let line = text.lines().find(|line| line.contains(before)).unwrap_or_else(|| panic!("{before}: {text}"));
    line.split_once(before).unwrap().1.to_owned()
}

#[test]
fn commands_that_are_proposed_can_be_run() {
    let folder = tempfile::tempdir().unwrap();
    let name = "my run's $HOME";
    let output = vae_gpu(folder.path(), &[&["train", "--out", name], &TRAIN[..]].concat(), Stdio::piped());
    let command = hint(&String::from_utf8(output.stdout).unwrap(), "look at samples with: vae-gpu ");
    let binary = env!("CARGO_BIN_EXE_vae-gpu");
    let shell = |command: &str| {
        let mut sh = Command::new("sh");
        sh.args(["-c", command]).current_dir(folder.path()).env("VAE_GPU_PROFILE", "none");
        sh.stdout(Stdio::null()).status().unwrap().success()
    };
    assert!(shell(&format!("'{binary}' {command} --device cpu")), "{command}");
    assert!(folder.path().join(name).join("figures/samples-seed0.png").exists());

    let again = vae_gpu(folder.path(), &[&["train", "--out", name], &TRAIN[..]].concat(), Stdio::piped());
    let text = String::from_utf8(again.stderr).unwrap();
    let command = hint(&text, "use ").replace(" to go on with it", "");
    assert!(shell(&format!("'{binary}' train {command} --epochs 4 --quiet")), "{command}");
    assert!(text.contains(&format!("--out {name}: it already holds a run")), "{text}");
}

#[test]
fn results_go_to_what_the_user_named() {
    let folder = tempfile::tempdir().unwrap();
    train(folder.path(), "run");
    let at = |name: &str| folder.path().join(name);
    std::os::unix::fs::symlink("real.png", at("link.png")).unwrap();
    assert!(Command::new("mkfifo").arg(at("pipe.npy")).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = at("pipe.npy");
        move || fs::read(pipe).unwrap()
    });
    let args = ["reconstruct", "run", "--device", "cpu", "--out", "link.png", "--npy", "pipe.npy"];
    assert!(vae_gpu(folder.path(), &args, Stdio::piped()).status.success());
    assert!(reader.join().unwrap().starts_with(b"\x93NUMPY"));
    assert!(at("link.png").is_symlink() && fs::read(at("real.png")).unwrap().starts_with(b"\x89PNG"));

    fs::write(at("kept.png"), "mine").unwrap();
    let mut permissions = fs::metadata(at("kept.png")).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(at("kept.png"), permissions).unwrap();
    let refused = vae_gpu(folder.path(), &["sample", "run", "--device", "cpu", "--out", "kept.png"], Stdio::piped());
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.stdout.is_empty(), "it is refused before the work");
    assert!(
        refused.status.code() == Some(1) && told.contains("writing kept.png") && told.contains("read-only"),
        "{told}"
    );
    assert_eq!(fs::read(at("kept.png")).unwrap(), b"mine");
}
