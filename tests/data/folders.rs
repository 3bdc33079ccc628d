//! Which files of a folder are read, into which set and class.

use std::fs;
use std::path::Path;

use image::{GrayImage, Luma};
use tempfile::TempDir;
use vae_gpu::data::{Images, Reading, Values};

use super::common::{all, command, names, read, says, train, unread};

/// Images of 2x2 that hold `value`, at these paths.
fn pictures(folder: &Path, files: &[(&str, u8)]) {
    for (file, value) in files {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        GrayImage::from_pixel(2, 2, Luma([*value])).save(path).unwrap();
    }
}

/// The first value of each image, and the number of its class.
fn first_and_class(images: &Images) -> Vec<(u8, Option<u32>)> {
    let Values::Bytes(bytes) = &images.pixels else { panic!("8 bits are bytes") };
    bytes.chunks(4).map(|pixels| pixels[0]).zip(images.labels.iter().copied()).collect()
}

#[test]
fn hidden_files_and_training_runs_are_not_read() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    pictures(root, &[("cat/1.png", 10), ("dog/2.png", 20), (".git/3.png", 30), (".ipynb_checkpoints/4.png", 40)]);
    pictures(root, &[("cat/.5.png", 50), ("runs/vae/figures/6.png", 60), ("new/figures/7.png", 70)]);
    fs::create_dir_all(root.join("__MACOSX/cat")).unwrap();
    fs::write(root.join("__MACOSX/cat/._1.png"), "no image").unwrap();
    fs::write(root.join("runs/vae/config.toml"), "").unwrap();
    fs::write(root.join("runs/vae/metrics.jsonl"), "").unwrap();
    // A run that is being written has no metrics yet.
    fs::write(root.join("new/config.toml"), "").unwrap();
    fs::create_dir(root.join("new/checkpoints")).unwrap();
    let (images, notes) = all(&Reading::default(), root);
    assert_eq!(first_and_class(&images), [(10, Some(0)), (20, Some(1))]);
    says(&notes, &["4 hidden items (the first is", ".git) are not read"]);
    says(&notes, &["2 training runs (the first is", "new) are not read"]);
}

#[test]
fn sets_are_told_by_their_names() {
    for [train, validation, test] in
        [["train", "val", "test"], ["Training", "valid", "TESTING"], ["TRAIN", "Validation", "Test"]]
    {
        let folder = TempDir::new().unwrap();
        let file = |set: &str, class: &str, at: usize| format!("{set}/{class}/{at}.png");
        let files = [
            file(train, "a", 1),
            file(train, "b", 2),
            file(validation, "b", 3),
            file(test, "a", 4),
            file(test, "b", 5),
        ];
        let files: Vec<(&str, u8)> = files.iter().map(String::as_str).zip([1, 2, 3, 4, 5]).collect();
        pictures(folder.path(), &files);
        let data = read(&Reading::default(), folder.path());
        assert_eq!(data.schema.classes, ["a", "b"]);
        assert_eq!(first_and_class(&data.train), [(1, Some(0)), (2, Some(1))]);
        assert_eq!(first_and_class(data.validation.as_ref().unwrap()), [(3, Some(1))]);
        assert_eq!(first_and_class(&data.test), [(4, Some(0)), (5, Some(1))]);
    }
}

#[test]
fn a_validation_set_alone_is_the_test_set_too_and_a_training_set_alone_is_split() {
    let folder = TempDir::new().unwrap();
    pictures(folder.path(), &[("train/1.png", 1), ("train/2.png", 2), ("val/3.png", 3)]);
    let data = read(&Reading::default(), folder.path());
    assert!(data.validation.is_none() && first_and_class(&data.test) == [(3, None)]);
    says(&data.notes, &["the validation set serves for reports too"]);
    fs::remove_dir_all(folder.path().join("val")).unwrap();
    let data = read(&Reading::default(), folder.path());
    assert_eq!((data.train.count(), data.test.count()), (1, 1));
    assert!(data.schema.classes.is_empty(), "train is no class: {:?}", data.schema.classes);
}

#[test]
fn names_that_cannot_be_told_apart_are_an_error() {
    for (files, parts) in [
        (&[("train/1.png", 1), ("test/2.png", 2), ("bus/3.png", 3)][..], &["test, train", "bus"][..]),
        (&[("train/1.png", 1), ("Training/2.png", 2)], &["Training and train", "same set"]),
        (&[("test/1.png", 1), ("test/2.png", 2)], &["no training set"]),
        (&[("train/1.png", 1), ("test/2.png", 2), ("3.png", 3)], &["3.png", "beside"]),
        (&[("train/a/1.png", 1), ("train/2.png", 2), ("test/a/2.png", 2)], &["2.png", "beside"]),
    ] {
        let folder = TempDir::new().unwrap();
        pictures(folder.path(), files);
        names(&unread(&Reading::default(), folder.path()), parts);
    }
}

#[test]
fn a_class_that_one_set_lacks_keeps_its_number_in_the_others() {
    let folder = TempDir::new().unwrap();
    pictures(folder.path(), &[("train/ant/1.png", 1), ("train/bee/2.png", 2), ("train/cow/3.png", 3)]);
    pictures(folder.path(), &[("test/bee/4.png", 4), ("test/cow/5.png", 5)]);
    let data = read(&Reading::default(), folder.path());
    assert_eq!(first_and_class(&data.test), [(4, Some(1)), (5, Some(2))]);
}

#[test]
fn more_classes_than_a_byte_counts_are_numbered() {
    let folder = TempDir::new().unwrap();
    let names: Vec<String> = (0..300).map(|class| format!("c{class:03}/x.png")).collect();
    let files: Vec<(&str, u8)> = names.iter().map(|name| (name.as_str(), 7)).collect();
    pictures(folder.path(), &files);
    let (images, _) = all(&Reading::default(), folder.path());
    assert_eq!((images.count(), images.labels[299]), (300, Some(299)));
}

#[cfg(unix)]
#[test]
fn linked_folders_are_followed_and_loops_are_not() {
    use std::os::unix::fs::symlink;
    let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    pictures(folder.path(), &[("cat/1.png", 1)]);
    pictures(elsewhere.path(), &[("2.png", 2)]);
    symlink(elsewhere.path(), folder.path().join("dog")).unwrap();
    symlink(folder.path(), folder.path().join("cat/loop")).unwrap();
    let (images, notes) = all(&Reading::default(), folder.path());
    assert_eq!(first_and_class(&images), [(1, Some(0)), (2, Some(1))]);
    says(&notes, &["1 link (", "loop) leads back to a folder above it"]);
}

#[test]
fn epochs_are_chosen_by_the_validation_set_and_reports_are_of_the_test_set() {
    let folder = TempDir::new().unwrap();
    let files: Vec<(String, u8)> = (0..60)
        .map(|at| {
            (
                format!(
                    "data/{}/{at}.png",
                    if at < 40 {
                        "train"
                    } else if at < 52 {
                        "val"
                    } else {
                        "test"
                    }
                ),
                4 * at as u8,
            )
        })
        .collect();
    let files: Vec<(&str, u8)> = files.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    pictures(folder.path(), &files);
    let (printed, _) = train(folder.path(), "data", &[]);
    names(&printed, &["40 + 12 + 8 (training, validation, test) examples of 2x2", "validation "]);
    let metrics = fs::read_to_string(folder.path().join("run/metrics.jsonl")).unwrap();
    assert!(metrics.contains("\"val_loss\"") && !metrics.contains("\"test_loss\""), "{metrics}");
    let eval = ["eval", "run", "--device", "cpu", "--samples", "0", "--json", "-"];
    let printed = command(folder.path()).args(eval).assert().success().get_output().stdout.clone();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&printed).unwrap()["images"], 8);
    let runs = command(folder.path()).args(["runs", ".", "--json"]).assert().success().get_output().stdout.clone();
    let best = serde_json::from_slice::<serde_json::Value>(&runs).unwrap()["best_test_loss"].as_f64();
    let line: serde_json::Value = serde_json::from_str(metrics.lines().next().unwrap()).unwrap();
    assert_eq!(best, line["val_loss"].as_f64());
}
