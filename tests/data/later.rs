//! Data after training: read as the model's own were, all of them, in their order; and a run whose data changed.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::arrays::npy;
use super::common::{command, names, spots, train};

fn codes(folder: &Path, more: &[&str]) -> (Vec<f32>, String) {
    let encode = ["encode", "run", "--device", "cpu", "--out", "codes.npy"];
    let printed = command(folder).args(encode).args(more).assert().success().get_output().stdout.clone();
    let bytes = fs::read(folder.join("codes.npy")).unwrap();
    (npyz::NpyFile::new(&bytes[..]).unwrap().into_vec::<f32>().unwrap(), String::from_utf8(printed).unwrap())
}

fn labels(folder: &Path) -> Vec<f32> {
    let bytes = fs::read(folder.join("codes.labels.npy")).unwrap();
    npyz::NpyFile::new(&bytes[..]).unwrap().into_vec::<f32>().unwrap()
}

#[test]
fn the_same_numbers_have_the_same_codes_whatever_their_type() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    let bytes = spots(40, 4, 4, 1);
    npy(&root.join("u8.npy"), "|u1", false, "(40, 4, 4)", &bytes);
    let wide: Vec<u8> = bytes.iter().flat_map(|&byte| i64::from(byte).to_le_bytes()).collect();
    npy(&root.join("i64.npy"), "<i8", false, "(40, 4, 4)", &wide);
    let shares: Vec<u8> = bytes.iter().flat_map(|&byte| (f32::from(byte) / 255.0).to_le_bytes()).collect();
    npy(&root.join("shares.npy"), "<f4", false, "(40, 4, 4)", &shares);
    train(root, "u8.npy", &[]);
    let (of_bytes, _) = codes(root, &["--data", "u8.npy"]);
    let (of_integers, _) = codes(root, &["--data", "i64.npy"]);
    assert_eq!(of_bytes.len(), 40 * 2);
    assert!(of_bytes.iter().zip(&of_integers).all(|(a, b)| (a - b).abs() < 1e-5), "{of_bytes:?} {of_integers:?}");
    let (_, printed) = codes(root, &["--data", "shares.npy"]);
    names(&printed, &["40 examples of 4x4", "the training data from 15 to 255: another scale?"]);
    let eval = |data: &str| {
        let eval = ["eval", "run", "--device", "cpu", "--samples", "0", "--json", "-", "--data", data];
        let printed = command(root).args(eval).assert().success().get_output().stdout.clone();
        serde_json::from_slice::<serde_json::Value>(&printed).unwrap()
    };
    let (a, b) = (eval("u8.npy"), eval("i64.npy"));
    assert_eq!((&a["images"], &b["images"]), (&40.into(), &40.into()));
    assert!((a["loss"].as_f64().unwrap() - b["loss"].as_f64().unwrap()).abs() < 1e-3, "{a} {b}");
    // What the loss does not take is refused as it is in training.
    let large: Vec<u8> = bytes.iter().flat_map(|&byte| (i64::from(byte) * 100).to_le_bytes()).collect();
    npy(&root.join("large.npy"), "<i8", false, "(40, 4, 4)", &large);
    let refused = command(root).args(["encode", "run", "--device", "cpu", "--data", "large.npy"]).assert().code(2);
    names(
        &String::from_utf8(refused.get_output().stderr.clone()).unwrap(),
        &["large.npy", "in [0, 1] with --loss bce"],
    );
}

#[test]
fn files_and_classes_stand_beside_the_codes() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    super::common::faces(&root.join("faces"), 20);
    train(root, "faces", &[]);
    // Of other pictures all are read, in the order of their names; a class of its own has none.
    let new = root.join("new");
    fs::create_dir_all(new.join("bob")).unwrap();
    fs::create_dir_all(new.join("eve")).unwrap();
    fs::copy(root.join("faces/bob/001.pgm"), new.join("bob/x.pgm")).unwrap();
    fs::copy(root.join("faces/ann/000.pgm"), new.join("eve/y, z.pgm")).unwrap();
    let (means, printed) = codes(root, &["--data", "new"]);
    names(
        &printed,
        &["2 examples of 12x10", "1 labels are of classes that the model does not know, \"eve\" among them"],
    );
    assert_eq!(means.len(), 4);
    let written = labels(root);
    assert!(written[0] == 1.0 && written[1].is_nan(), "{written:?}");
    let table = fs::read_to_string(root.join("codes.examples.csv")).unwrap();
    assert_eq!(table, "example,file,label,class\n0,bob/x.pgm,1,bob\n1,\"eve/y, z.pgm\",,\n");
}

#[test]
fn data_without_the_label_column_are_read_and_colours_are_converted() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    let row = |at: usize| format!("{},{},{}\n", at as f64 / 40.0, 0.5, ["setosa", "virginica"][at % 2]);
    fs::write(root.join("species.csv"), "a,b,species\n".to_owned() + &(0..40).map(row).collect::<String>()).unwrap();
    fs::write(root.join("new.csv"), "b,a\n0.5,0.25\n0.5,0.75\n").unwrap();
    train(root, "species.csv", &["--label-column", "species"]);
    let (of_new, printed) = codes(root, &["--data", "new.csv"]);
    names(&printed, &["2 examples of 1x2", "it has no column species", "brought into the training data's order"]);
    let (of_all, _) = codes(root, &["--data", "species.csv"]);
    assert_eq!(of_new, [&of_all[20..22], &of_all[60..62]].concat());
    fs::remove_dir_all(root.join("run")).unwrap();
    npy(&root.join("grey.npy"), "|u1", false, "(20, 4, 4)", &spots(20, 4, 4, 1));
    let rgb: Vec<u8> = spots(20, 4, 4, 1).into_iter().flat_map(|byte| [byte; 3]).collect();
    npy(&root.join("rgb.npy"), "|u1", false, "(20, 4, 4, 3)", &rgb);
    train(root, "rgb.npy", &[]);
    let (of_rgb, _) = codes(root, &["--data", "rgb.npy"]);
    let (of_grey, printed) = codes(root, &["--data", "grey.npy"]);
    names(&printed, &["20 examples are grey, and are brought to RGB"]);
    assert_eq!(of_rgb, of_grey);
}

#[test]
fn a_run_whose_data_changed_is_not_resumed_without_a_word() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    let write = |count: usize, from: usize| {
        let row = |at: usize| format!("{},{}\n", at as f64 / 100.0, 0.5);
        fs::write(root.join("data.csv"), (from..from + count).map(row).collect::<String>()).unwrap();
    };
    write(40, 0);
    train(root, "data.csv", &[]);
    let resume = |epochs: &str, more: &[&str]| {
        command(root).args(["train", "--resume", "run", "--epochs", epochs]).args(more).assert()
    };
    for (count, from, why) in [(60, 0, "it is 54 training and 6 test examples"), (40, 1, "not the same values")] {
        write(count, from);
        let refused = resume("2", &[]).code(2);
        let message = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
        names(&message, &["data.csv", "it was 36 training and 4 test examples", why, "--data"]);
    }
    let went_on = resume("2", &["--data", "data.csv"]).success();
    let printed = String::from_utf8(went_on.get_output().stdout.clone()).unwrap();
    names(&printed, &["they are not those the run had (36 training and 4 test examples"]);
    // What it goes on with is what it has now.
    resume("3", &[]).success();
    write(40, 0);
    let eval = ["eval", "run", "--device", "cpu", "--samples", "0", "--checkpoint", "last"];
    let printed = command(root).args(eval).assert().success().get_output().stdout.clone();
    names(&String::from_utf8(printed).unwrap(), &["these are not the data that the model was trained on"]);
}

#[test]
fn a_batch_larger_than_the_data_is_all_of_them() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    npy(&root.join("few.npy"), "|u1", false, "(10, 4, 4)", &spots(10, 4, 4, 1));
    let (printed, _) = train(root, "few.npy", &[]);
    names(&printed, &["9 + 1 examples of 4x4", "a batch is all 9 training examples, fewer than --batch-size 16"]);
    let config = fs::read_to_string(root.join("run/config.toml")).unwrap();
    assert!(config.contains("batch-size = 9"), "{config}");
    let data = fs::canonicalize(root.join("few.npy")).unwrap();
    assert!(config.contains(&format!("data = \"{}\"", data.display())), "{config}");
}

#[test]
fn a_report_says_what_was_read() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    super::common::faces(&root.join("faces"), 20);
    fs::write(root.join("faces/ann/notes.txt"), "").unwrap();
    train(root, "faces", &[]);
    command(root).args(["report", "run", "--device", "cpu"]).assert().success();
    let page = fs::read_to_string(root.join("run/report.html")).unwrap();
    names(&page, &["18 + 2 examples of 12x10", "2 classes (ann, bob)", "notes.txt) is no image, and is left out"]);
}
