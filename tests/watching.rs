//! What a person watches runs with: TensorBoard's event files, `runs`, `compare`, `report`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;

use crate::common::page::pictures;
use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;

fn vae_gpu(folder: &Path, args: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("vae-gpu").expect("the binary is built with the tests");
    command.current_dir(folder).env("VAE_GPU_PROFILE", "none").args(args).assert() // never the user's own profile
}

fn train(folder: &Path, args: &[&str]) {
    let common = ["--data", "uniform:200x64", "--hidden", "8", "--batch-size", "50", "--device", "cpu", "--quiet"];
    vae_gpu(folder, &[&["train"], args, &common[..]].concat()).success();
}

fn resume(folder: &Path, run: &str, epochs: &str) {
    vae_gpu(folder, &["train", "--resume", run, "--epochs", epochs, "--quiet"]).success();
}

fn metrics(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn stdout(assert: assert_cmd::assert::Assert) -> String {
    String::from_utf8(assert.success().get_output().stdout.clone()).unwrap()
}

/// What the tests read event files with: framing and messages as TensorFlow documents them, by hand.
mod events {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    /// A field of a message.
    pub(super) enum Field<'a> {
        Varint(u64),
        Fixed64([u8; 8]),
        Bytes(&'a [u8]),
        Fixed32([u8; 4]),
    }

    #[derive(Debug, Default)]
    pub(super) struct Event {
        pub(super) wall_time: f64,
        pub(super) step: u64,
        pub(super) version: Option<String>,
        pub(super) starts: bool,
        pub(super) scalars: Vec<(String, f32)>,
        /// Height, width, colour space and file.
        pub(super) images: Vec<(String, [u64; 3], Vec<u8>)>,
    }

    /// Bit by bit, reflected, of the polynomial 0x1edc6f41.
    pub(super) fn crc32c(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
        })
    }

    fn check(bytes: &[u8], stored: &[u8]) {
        let crc = crc32c(bytes);
        let masked = crc.rotate_right(15).wrapping_add(0xa282_ead8);
        assert_eq!(masked, u32::from_le_bytes(stored.try_into().unwrap()), "checksum of {} bytes", bytes.len());
    }

    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for place in 0.. {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 127) << (7 * place);
            if byte < 128 {
                break;
            }
        }
        value
    }

    fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let length = match key & 7 {
                0 => {
                    fields.push((key >> 3, Field::Varint(varint(&mut bytes))));
                    continue;
                }
                1 => 8,
                2 => varint(&mut bytes) as usize,
                5 => 4,
                kind => panic!("wire type {kind}"),
            };
            let (value, rest) = bytes.split_at(length);
            bytes = rest;
            let value = match key & 7 {
                1 => Field::Fixed64(value.try_into().unwrap()),
                2 => Field::Bytes(value),
                _ => Field::Fixed32(value.try_into().unwrap()),
            };
            fields.push((key >> 3, value));
        }
        fields
    }

    fn event(bytes: &[u8]) -> Event {
        let mut event = Event::default();
        for field in fields(bytes) {
            match field {
                (1, Field::Fixed64(bytes)) => event.wall_time = f64::from_le_bytes(bytes),
                (2, Field::Varint(step)) => event.step = step,
                (3, Field::Bytes(text)) => event.version = Some(String::from_utf8(text.to_vec()).unwrap()),
                (5, Field::Bytes(summary)) => fields(summary).iter().for_each(|field| value(&mut event, field)),
                (7, Field::Bytes(log)) => event.starts = matches!(fields(log)[..], [(1, Field::Varint(1))]),
                (number, _) => panic!("field {number} of an event"),
            }
        }
        event
    }

    fn value(event: &mut Event, field: &(u64, Field<'_>)) {
        let (1, Field::Bytes(bytes)) = field else { panic!("a summary has values alone") };
        let mut tag = String::new();
        for field in fields(bytes) {
            match field {
                (1, Field::Bytes(text)) => tag = String::from_utf8(text.to_vec()).unwrap(),
                (2, Field::Fixed32(bytes)) => event.scalars.push((tag.clone(), f32::from_le_bytes(bytes))),
                (4, Field::Bytes(image)) => {
                    let (mut sizes, mut file) = ([0; 3], Vec::new());
                    for field in fields(image) {
                        match field {
                            (at @ 1..=3, Field::Varint(size)) => sizes[at as usize - 1] = size,
                            (4, Field::Bytes(bytes)) => file = bytes.to_vec(),
                            (number, _) => panic!("field {number} of an image"),
                        }
                    }
                    event.images.push((tag.clone(), sizes, file));
                }
                (number, _) => panic!("field {number} of a value"),
            }
        }
    }

    /// A run's event files in the order in which TensorBoard reads them.
    pub(super) fn files(run: &Path) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(run).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.file_name().unwrap().to_string_lossy().contains("tfevents"));
        files.sort();
        files
    }

    pub(super) fn read(file: &Path) -> Vec<Event> {
        let bytes = std::fs::read(file).unwrap();
        let (mut rest, mut events) = (bytes.as_slice(), Vec::new());
        while !rest.is_empty() {
            check(&rest[..8], &rest[8..12]);
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let data = &rest[12..12 + length];
            check(data, &rest[12 + length..16 + length]);
            events.push(event(data));
            rest = &rest[16 + length..];
        }
        events
    }

    /// Epochs and values of each scalar, as TensorBoard shows them: the start of a session drops what was there from its
    /// step on.
    pub(super) fn scalars(run: &Path) -> BTreeMap<String, Vec<(u64, f32)>> {
        let mut all: BTreeMap<String, Vec<(u64, f32)>> = BTreeMap::new();
        for event in files(run).iter().flat_map(|file| read(file)) {
            if event.starts {
                all.values_mut().for_each(|points| points.retain(|(step, _)| *step < event.step));
            }
            for (tag, value) in event.scalars {
                all.entry(tag).or_default().push((event.step, value));
            }
        }
        all
    }
}

#[test]
fn tensorboard_gets_every_epoch_once() {
    assert_eq!(events::crc32c(b"123456789"), 0xe306_9283);
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    train(folder.path(), &["--out", "run", "--epochs", "2", "--latent", "2"]);
    // A checkpoint from before the last epoch, as a backup brings back: epoch 3 is trained and written again.
    let (last, kept) = (run.join("checkpoints/last.safetensors"), folder.path().join("kept"));
    std::fs::copy(&last, &kept).unwrap();
    resume(folder.path(), "run", "3");
    std::fs::copy(&kept, &last).unwrap();
    resume(folder.path(), "run", "12");

    let files = events::files(&run);
    assert_eq!(files.len(), 3);
    let all: Vec<Vec<events::Event>> = files.iter().map(|file| events::read(file)).collect();
    for events in &all {
        assert_eq!(events[0].version.as_deref(), Some("brain.Event:2"));
        assert!(events.iter().all(|event| event.wall_time > 1.7e9 && event.wall_time < 1e11));
    }
    let steps = |of: fn(&events::Event) -> bool| -> Vec<Vec<u64>> {
        all.iter().map(|events| events.iter().filter(|event| of(event)).map(|event| event.step).collect()).collect()
    };
    assert_eq!(steps(|event| event.starts), [[1], [3], [3]]);
    assert_eq!(steps(|event| !event.scalars.is_empty()), [vec![1, 2], vec![3], (3..=12).collect()]);

    let scalars = events::scalars(&run);
    let tags: Vec<&str> = scalars.keys().map(String::as_str).collect();
    let terms = ["kl/test", "kl/train", "loss/test", "loss/train", "lr", "recon/test", "recon/train"];
    assert_eq!(tags, [&["images_per_s"], &terms[..]].concat());
    let lines = metrics(&run);
    for (tag, points) in scalars {
        let key = tag.split_once('/').map_or(tag.clone(), |(term, set)| format!("{set}_{term}"));
        let wanted: Vec<(u64, f32)> =
            lines.iter().map(|line| (line["epoch"].as_u64().unwrap(), line[&key].as_f64().unwrap() as f32)).collect();
        assert_eq!(points, wanted, "{tag}");
        assert_eq!(points.len(), 12, "{tag}");
    }

    let mut shown: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for event in all.iter().flatten() {
        for (tag, [height, width, channels], file) in &event.images {
            shown.entry(tag).or_default().push(event.step);
            let image = image::load_from_memory(file).unwrap();
            assert_eq!([*height, *width], [image.height(), image.width()].map(u64::from), "{tag}");
            assert_eq!((*channels, image.color().channel_count()), if tag == "latent" { (3, 3) } else { (1, 1) });
        }
    }
    // Which epochs have pictures depends on how long they take; the last of each session has.
    let epochs = shown["samples"].clone();
    assert_eq!(shown, ["latent", "reconstructions", "samples"].map(|tag| (tag, epochs.clone())).into());
    assert!([2, 3, 12].iter().all(|last| epochs.contains(last)), "{epochs:?}");
    let samples: Vec<&Vec<u8>> = all
        .iter()
        .flatten()
        .flat_map(|event| &event.images)
        .filter(|image| image.0 == "samples")
        .map(|image| &image.2)
        .collect();
    assert!(samples[0] != samples[samples.len() - 1], "the model moves, and so do its samples");
}

#[test]
fn runs_are_listed_and_damaged_ones_named() {
    let folder = tempfile::tempdir().unwrap();
    let runs = |args: &[&str]| vae_gpu(folder.path(), &[&["runs"], args].concat());
    runs(&[]).code(1).stderr(predicate::str::contains("runs"));
    std::fs::create_dir_all(folder.path().join("runs/notes")).unwrap();
    runs(&[]).success().stdout(predicate::str::contains("no run in runs"));

    train(folder.path(), &["--out", "runs/a", "--epochs", "3", "--latent", "2", "--lr", "0.01"]);
    train(folder.path(), &["--out", "runs/b", "--epochs", "2", "--model", "gan", "--encoder", "9,7"]);
    for name in ["c", "d", "e"] {
        std::fs::create_dir(folder.path().join("runs").join(name)).unwrap();
    }
    std::fs::write(folder.path().join("runs/c/config.toml"), "latent = 'two'\n").unwrap();
    std::fs::write(folder.path().join("runs/d/metrics.jsonl"), "").unwrap();
    std::fs::copy(folder.path().join("runs/a/config.toml"), folder.path().join("runs/e/config.toml")).unwrap();
    let lines = metrics(&folder.path().join("runs/a"));
    std::fs::write(folder.path().join("runs/e/metrics.jsonl"), format!("{}\n{{\n", lines[0])).unwrap();
    let reported = ["runs/c", "latent", "runs/d", "no config.toml", "runs/e/metrics.jsonl: line 2"];

    let listed = |lines: &str| -> Vec<Value> {
        let assert = runs(&["--json"]).success();
        let warnings = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        assert_eq!(warnings.matches("warning:").count(), 3, "{lines}: {warnings}");
        reported.iter().for_each(|part| assert!(warnings.contains(part), "{part}: {warnings}"));
        stdout(assert).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let whole = listed("whole");
    let loss = |line: &Value| line["test_loss"].as_f64().unwrap();
    let best = lines.iter().min_by(|a, b| loss(a).total_cmp(&loss(b))).unwrap();
    let (a, b) = (&whole[0], &whole[1]);
    assert_eq!(
        (whole.len(), &a["name"], &a["model"], &a["architecture"]),
        (2, &"a".into(), &"vae".into(), &"8-2-8".into())
    );
    assert_eq!((&a["epochs"], &a["best_epoch"]), (&3.into(), &best["epoch"]));
    assert_eq!(a["best_test_loss"], best["test_loss"]);
    let seconds: f64 = lines.iter().map(|line| line["seconds"].as_f64().unwrap()).sum();
    assert_eq!((&a["seconds"], &a["devices"][0]), (&seconds.into(), &lines[0]["device"]));
    assert_eq!((&b["architecture"], &b["best_epoch"]), (&"20-8, discriminator 9-7".into(), &2.into()));
    assert_eq!(b["best_test_loss"], metrics(&folder.path().join("runs/b"))[1]["test_generator"]);

    let table = stdout(runs(&["runs"]));
    let row = table.lines().find(|line| line.starts_with("a ")).unwrap();
    assert!(row.contains(&format!("{:.2}", loss(best))) && row.contains("8-2-8"), "{table}");

    // A write that was cut off is no damage; the epochs before it count.
    let path = folder.path().join("runs/a/metrics.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &text[..text.len() - 20]).unwrap();
    assert_eq!((&listed("cut off")[0]["epochs"], listed("cut off").len()), (&2.into(), 2));
    resume(folder.path(), "runs/a", "4");
    let epochs: Vec<u64> =
        metrics(&folder.path().join("runs/a")).iter().map(|m| m["epoch"].as_u64().unwrap()).collect();
    assert_eq!(epochs, [1, 2, 4], "the line that was cut off is gone, and nothing else");
}

#[test]
fn runs_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    train(folder.path(), &["--out", "small", "--epochs", "2", "--latent", "2"]);
    train(folder.path(), &["--out", "large", "--epochs", "3", "--latent", "5"]);
    train(folder.path(), &["--out", "other", "--epochs", "1", "--latent", "2", "--model", "ae"]);
    let compare = |args: &[&str]| vae_gpu(folder.path(), &[&["compare"], args].concat());

    let text = stdout(compare(&["small", "large", "--out", "two.png"]));
    let row = |name: &str| -> Vec<&str> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        line.split_whitespace().collect()
    };
    assert_eq!((row("latent"), row("best epoch").len()), (vec!["2", "5"], 2));
    assert_eq!(row("epochs done"), ["2", "3"]);
    for same in ["batch-size", "model", "seed", "data"] {
        assert!(!text.contains(same), "{same} is equal: {text}");
    }
    let best = |run: &str| {
        let losses = metrics(&folder.path().join(run)).into_iter().map(|line| line["test_loss"].as_f64().unwrap());
        format!("{:.2}", losses.fold(f64::INFINITY, f64::min))
    };
    assert_eq!(row("test loss"), [best("small"), best("large")]);
    assert!(!text.contains("don't measure the same"), "{text}");
    let picture = image::open(folder.path().join("two.png")).unwrap();
    assert_eq!((picture.width(), picture.height()), (960, 540));
    let (file, lines) = (folder.path().join("large/metrics.jsonl"), metrics(&folder.path().join("large")));
    let kept: String = lines[..2].iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(&file, kept).unwrap();
    stdout(compare(&["small", "large", "--out", "fewer.png"]));
    let pixels = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert!(pixels("two.png") != pixels("fewer.png"), "the picture is of their epochs");

    let text = stdout(compare(&["small", "other"]));
    assert!(text.contains("differ in model: their test losses don't measure the same"), "{text}");
    assert!(folder.path().join("comparison.png").exists());

    compare(&["small"]).code(2);
    compare(&["small", "missing", "--out", "x.png"]).code(2).stderr(predicate::str::contains("missing"));
    compare(&["small", "large", "--out", "no/x.png"]).code(1).stderr(predicate::str::contains("no/x.png"));
    std::fs::write(&file, "{}\n").unwrap();
    compare(&["small", "large", "--out", "x.png"]).code(1).stderr(predicate::str::contains("metrics.jsonl: line 1"));
    std::fs::write(&file, "").unwrap();
    compare(&["small", "large", "--out", "x.png"]).code(2).stderr(predicate::str::contains("large"));
    assert!(!folder.path().join("x.png").exists());
}

#[test]
fn a_report_holds_all_and_needs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // Loss, its two terms, reconstructions, samples (and of a prior's model those of its codes' density), the latent map where there is one,
    // traversals; samples above their nearest training images by source, the map of sources, anomalies.
    for (model, latent, expected) in [("vae", "2", 12), ("vae", "3", 10), ("ae", "3", 7), ("gan", "3", 4)] {
        let name = format!("{model}&'{latent}");
        train(folder.path(), &["--out", &name, "--epochs", "2", "--latent", latent, "--model", model]);
        let out = stdout(vae_gpu(folder.path(), &["report", &name, "--device", "cpu"]));
        assert!(out.ends_with("report.html\n"), "{out}");
        let page = std::fs::read_to_string(folder.path().join(&name).join("report.html")).unwrap();
        assert_eq!(pictures(&page), expected, "{name}");
        assert!(page.contains(&format!("<h1>{model}&amp;'{latent}</h1>")), "{name}");
        let last = &metrics(&folder.path().join(&name))[1];
        for part in ["uniform:200x64", last["device"].as_str().unwrap(), "<th scope=\"row\">batch-size</th>"] {
            assert!(page.contains(part), "{name}: {part}");
        }
        assert_eq!(page.contains("<h2>Evaluation</h2>"), model != "gan");
        if model != "gan" {
            let evaluated =
                stdout(vae_gpu(folder.path(), &["eval", &name, "--device", "cpu", "--samples", "0", "--json", "-"]));
            let evaluated: Value = serde_json::from_str(&evaluated).unwrap();
            let mse = format!("{:.6} a pixel", evaluated["mse"].as_f64().unwrap());
            assert!(page.contains(&mse), "{name}: {mse}");
        }
    }
    let report = |args: &[&str]| vae_gpu(folder.path(), &[&["report", "vae&'2", "--device", "cpu"], args].concat());
    let text = stdout(report(&["--samples", "20", "--checkpoint", "last", "--out", "page.html"]));
    assert!(text.contains("page.html"), "{text}");
    assert!(std::fs::read_to_string(folder.path().join("page.html")).unwrap().contains("(20 samples an image)"));

    report(&["--out", "no/page.html"]).code(1).stderr(predicate::str::contains("no/page.html"));
    report(&["--data", "uniform:100x16", "--out", "x.html"]).code(2).stderr(predicate::str::contains("must be equal"));
    let config = folder.path().join("vae&'2/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("latent = 2", "latent = 4")).unwrap();
    report(&["--out", "x.html"]).code(1).stderr(predicate::str::contains("another architecture"));
    assert!(!folder.path().join("x.html").exists());
}
