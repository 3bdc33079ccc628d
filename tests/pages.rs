//! Pages for a browser: what they hold, what is refused, and checkpoints that come from elsewhere. What a page computes is compared with
//! the command line in Node and in Chromium (`tests/dawn/pages.mjs`, `tests/dawn/pages-in-chromium.mjs`).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Read;
use std::path::Path;

use crate::common::page::pictures;
use assert_cmd::Command;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use predicates::prelude::*;
use serde_json::Value;
use vae_gpu::plan::Recording;
use vae_gpu::train::Checkpoint;

fn vae_gpu(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("vae-gpu").expect("the binary is built with the tests");
    command.current_dir(folder).args(args);
    command
}

const SMALL: [&str; 14] = [
    "--data",
    "uniform:60x16",
    "--hidden",
    "6",
    "--latent",
    "3",
    "--batch-size",
    "20",
    "--seed",
    "5",
    "--device",
    "cpu",
    "--epochs",
    "1",
];

/// A small run of two epochs.
fn trained(folder: &Path, name: &str, options: &[&str]) {
    vae_gpu(folder, &[&["train", "--out", name, "--quiet"], &SMALL[..12], &["--epochs", "2"], options].concat())
        .assert()
        .success();
}

fn page(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The text of the script element with this id.
fn script<'p>(page: &'p str, id: &str) -> &'p str {
    let text = page.split_once(&format!(" id=\"{id}\">")).unwrap().1;
    text.split_once("</script>").unwrap().0
}

/// A page's manifest, and its values of a name.
fn unpacked(page: &str) -> (Value, impl Fn(&str) -> Vec<u8> + use<>) {
    let manifest: Value = serde_json::from_str(script(page, "manifest")).unwrap();
    let (mut bytes, entries) = (Vec::new(), manifest["values"].as_array().unwrap().clone());
    assert_eq!(manifest["pieces"], 1);
    GzDecoder::new(&STANDARD.decode(script(page, "values-0")).unwrap()[..]).read_to_end(&mut bytes).unwrap();
    let of_name = move |name: &str| {
        let entry = entries.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        let [offset, len] = ["offset", "bytes"].map(|key| entry[key].as_u64().unwrap() as usize);
        bytes[offset..offset + len].to_vec()
    };
    (manifest, of_name)
}

#[test]
fn an_explorer_holds_the_model_and_asks_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path(), "vae", &[]);
    let export = |out: &str, more: &[&str]| {
        let args =
            [&["export", "vae", "--format", "web", "--checkpoint", "last", "--device", "cpu", "--out", out], more]
                .concat();
        vae_gpu(folder.path(), &args)
            .assert()
            .success()
            .stdout(predicate::str::contains(out).and(predicate::str::contains("bytes")));
        page(&folder.path().join(out))
    };
    let html = export("a.html", &[]);
    assert_eq!(pictures(&html), 5, "the loss and its terms, reconstructions, samples");
    assert_eq!(html, export("b.html", &[]), "the same page again");
    let (manifest, values) = unpacked(&html);
    assert_eq!(manifest["size"], serde_json::json!([4, 4, 1]));
    for programs in manifest["programs"].as_object().unwrap().values() {
        for recording in programs.as_object().unwrap().values().flat_map(|all| all.as_array().unwrap()) {
            Recording::from_json(&recording.to_string()).unwrap();
        }
    }
    let checkpoint = Checkpoint::load(&folder.path().join("vae/checkpoints/last.safetensors")).unwrap();
    let weights: Vec<u8> = checkpoint.parameters.iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(values("parameters"), weights, "each program's parameters, which here are all");
    assert_eq!((values("codes").len(), values("images").len()), (60 * 3 * 4, 20 * 16 * 4));
    let (_, halves) = unpacked(&export("c.html", &["--weights", "f16"]));
    assert_eq!(halves("parameters").len(), weights.len() / 2);
    assert!(page(&folder.path().join("c.html")).contains("half precision"));
}

#[test]
fn a_model_without_an_encoder_has_a_page_of_what_it_can() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path(), "gan", &["--model", "gan"]);
    vae_gpu(folder.path(), &["export", "gan", "--format", "web", "--device", "cpu"]).assert().success();
    let html = page(&folder.path().join("gan/export/explorer.html"));
    let (manifest, values) = unpacked(&html);
    assert!(
        !html.contains("An image of yours")
            && html.contains("no encoder")
            && manifest["programs"]["wide"]["encode"].is_null()
    );
    // The discriminator's weights stay out.
    let checkpoint = Checkpoint::load(&folder.path().join("gan/checkpoints/best.safetensors")).unwrap();
    let held = values("parameters").as_chunks::<4>().0.iter().filter(|bytes| **bytes != [0; 4]).count();
    let all = checkpoint.parameters.iter().filter(|value| **value != 0.0).count();
    assert!(held > 0 && held < all, "{held} of {all}");
}

#[test]
fn a_report_has_the_explorer_inside() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path(), "vae", &[]);
    vae_gpu(folder.path(), &["report", "vae", "--device", "cpu"]).assert().success();
    let html = page(&folder.path().join("vae/report.html"));
    assert!(pictures(&html) > 5);
    assert!(html.contains("id=\"explorer\"") && html.contains("script-src") && html.contains("Traversals"));
}

#[test]
fn a_trainer_holds_the_training_and_begins_as_the_command_line_does() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path(), "vae", &["--lr-schedule", "cosine"]);
    vae_gpu(folder.path(), &["export", "vae", "--format", "web", "--train"]).assert().success();
    let html = page(&folder.path().join("vae/export/trainer.html"));
    assert_eq!(pictures(&html), 0);
    let (manifest, values) = unpacked(&html);
    let checkpoint = Checkpoint::load(&folder.path().join("vae/checkpoints/last.safetensors")).unwrap();
    let header = serde_json::to_value(&checkpoint.header).unwrap();
    for key in ["model", "train", "schema", "data", "format"] {
        assert_eq!(manifest["header"][key], header[key], "{key}");
    }
    assert_eq!(manifest["host"]["lr_schedule"], "cosine");
    assert_eq!((manifest["train"]["count"].as_u64(), manifest["held_out"]["count"].as_u64()), (Some(60), Some(60)));
    assert_eq!(values("train.images").len(), 60 * 16 * 4);
    assert_eq!(values("parameters").len(), 4 * checkpoint.parameters.len());
}

#[test]
fn what_can_be_no_page_is_named_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path(), "sharded", &["--shards", "2"]);
    let refused = |args: &[&str], code: i32, words: &[&str]| {
        let output = vae_gpu(folder.path(), args).assert().code(code).get_output().clone();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(words.iter().all(|word| message.contains(word)), "{args:?}: {message}");
    };
    let export = ["export", "sharded", "--format"];
    refused(&[&export[..], &["onnx", "--weights", "f16"]].concat(), 2, &["--weights", "web"]);
    refused(&[&export[..], &["npz", "--train"]].concat(), 2, &["--train", "web"]);
    refused(&[&export[..], &["web", "--train"]].concat(), 2, &["--shards is 2"]);
    refused(&[&export[..], &["web", "--train", "--weights", "f16"]].concat(), 2, &["--weights", "f32"]);
    refused(&[&export[..], &["web", "--train", "--preset", "keras-conv"]].concat(), 2, &["--preset"]);
    refused(&[&export[..], &["web", "--train", "--checkpoint", "last"]].concat(), 2, &["--checkpoint", "first step"]);
    refused(&[&export[..], &["web", "--train", "--device", "cpu"]].concat(), 2, &["--device", "first step"]);
    refused(&["export", "--format", "web", "--preset", "keras-conv"], 2, &["--train"]);
    refused(&[&export[..], &["web", "--out", "missing/page.html"]].concat(), 1, &["missing"]);
    let file = "sharded/checkpoints/last.safetensors";
    refused(&["export", "--checkpoint", file, "--format", "web"], 2, &["a page is of a run"]);
    refused(&["export", "--checkpoint", file, "--format", "npz"], 2, &["--out"]);
    assert!(!folder.path().join("sharded/export").exists(), "something was written");
    vae_gpu(folder.path(), &["export", "--checkpoint", file, "--format", "npz", "--out", "w.npz"]).assert().success();
}

#[test]
fn a_checkpoint_file_goes_on_in_a_folder_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let train = |args: &[&str]| vae_gpu(folder.path(), &[&["train", "--device", "cpu", "--quiet"], args].concat());
    trained(folder.path(), "whole", &["--lr", "0.01"]);
    vae_gpu(folder.path(), &[&["train", "--out", "half", "--quiet", "--lr", "0.01"], &SMALL[..]].concat())
        .assert()
        .success();
    std::fs::copy(at("half/checkpoints/last.safetensors"), at("page.safetensors")).unwrap();
    let resume = ["--resume", "page.safetensors", "--data", "uniform:60x16"];
    train(&[&resume[..], &["--epochs", "2", "--out", "on"]].concat()).assert().success();
    let last = |run: &str| std::fs::read(at(run).join("checkpoints/last.safetensors")).unwrap();
    assert_eq!(last("on"), last("whole"), "it ends in the bytes of a run that was never apart");
    assert!(page(&at("on/config.toml")).contains("lr = 0.01"));

    // One whose best epoch is over: the best is one that follows, and the folder has it.
    let mut later = Checkpoint::load(&at("on/checkpoints/last.safetensors")).unwrap();
    (later.header.state.best_epoch, later.header.state.best_test_loss) = (1, 0.5);
    later.save(&at("later.safetensors")).unwrap();
    let resume_later = ["--resume", "later.safetensors", "--data", "uniform:60x16", "--epochs", "3", "--out", "later"];
    train(&resume_later).assert().success().stderr(predicate::str::contains("best epoch so far, 1"));
    assert_eq!(Checkpoint::load(&at("later/checkpoints/best.safetensors")).unwrap().header.state.best_epoch, 3);
    // Other data than it had are said, whatever is quiet.
    let other = ["--resume", "page.safetensors", "--data", "uniform:80x16", "--epochs", "2", "--out", "other"];
    train(&other).assert().success().stderr(predicate::str::contains("not those the run had"));

    let refused = |args: &[&str], words: &[&str]| {
        let output = train(args).assert().code(2).get_output().clone();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(words.iter().all(|word| message.contains(word)), "{args:?}: {message}");
    };
    refused(&[&resume[..], &["--epochs", "1", "--out", "no"]].concat(), &["1 epochs already"]);
    refused(&[&resume[..], &["--batch-size", "7", "--out", "no"]].concat(), &["was trained with"]);
    refused(&["--resume", "whole", "--out", "no", "--epochs", "3"], &["--out", "its own folder"]);
    trained(folder.path(), "cosine", &["--lr-schedule", "cosine"]);
    refused(
        &["--resume", "cosine/checkpoints/last.safetensors", "--data", "uniform:60x16", "--out", "no"],
        &["--epochs must be given"],
    );
    std::fs::write(at("text"), "no checkpoint").unwrap();
    train(&["--resume", "text", "--out", "no"]).assert().code(1).stderr(predicate::str::contains("text"));
    assert!(!at("no").exists(), "something was begun");
}
