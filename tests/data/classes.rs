//! Training on some classes alone: which examples are taken, what stays that of all, and what is refused.

use std::fs;

use tempfile::TempDir;
use vae_gpu::data::{Reading, Scale, Values};

use super::common::{command, names, read, refused, train};

/// Sixty lines: two values, and ant, bee or nothing for a label; values of ants go to 1, those of bees to 10.
fn insects(folder: &TempDir) -> std::path::PathBuf {
    let path = folder.path().join("insects.csv");
    let line = |at: usize| match at % 3 {
        0 => format!("{},{},ant\n", at % 2, 0.01 * at as f64),
        1 => format!("{},{},bee\n", at % 7, if at == 1 { 10.0 } else { 0.1 * at as f64 }),
        _ => format!("{},{},\n", 100, at),
    };
    fs::write(&path, "x,y,label\n".to_owned() + &(0..60).map(line).collect::<String>()).unwrap();
    path
}

fn taking(classes: &[&str]) -> Reading {
    Reading { classes: classes.iter().map(|&class| class.to_owned()).collect(), ..Reading::default() }
}

#[test]
fn classes_are_taken_from_every_set_of_one_split() {
    let folder = TempDir::new().unwrap();
    let path = insects(&folder);
    let whole = read(&Reading::default(), &path);
    for class in ["bee", "1"] {
        let bees = read(&taking(&[class]), &path);
        assert_eq!(bees.schema.classes, ["ant", "bee"]);
        for (all, taken) in [(&whole.train, &bees.train), (&whole.test, &bees.test)] {
            let positions: Vec<usize> = (0..all.count()).filter(|&at| all.labels[at] == Some(1)).collect();
            assert_eq!(*taken, all.select(&positions), "{class}");
            assert!(!positions.is_empty());
        }
        let [train, test] = [&bees.train, &bees.test].map(|images| images.count());
        let note = format!(
            "of --classes {class}: {train} of 54 training examples, {test} of 6 test examples; without a label"
        );
        names(&bees.notes.join("\n"), &[&note, "left out: 20 examples"]);
        assert_eq!(whole.of_classes(&[class.to_owned()]).unwrap().fingerprint().unwrap(), bees.fingerprint().unwrap());
    }
    let both = read(&taking(&["1", "ant"]), &path);
    assert_eq!(both.train.count() + both.test.count(), 40);
}

#[test]
fn scales_are_those_of_what_is_trained_on() {
    let folder = TempDir::new().unwrap();
    let path = insects(&folder);
    let ants = read(&Reading { scale: Scale::Minmax, ..taking(&["ant"]) }, &path);
    assert!(ants.schema.range[1] <= 1.0, "{:?}", ants.schema.range);
    let Values::Reals(values) = &ants.train.pixels else { panic!("numbers are reals") };
    assert!(values.contains(&1.0) && values.iter().all(|value| (0.0..=1.0).contains(value)), "{values:?}");
}

#[test]
fn a_class_that_the_data_lack_is_named() {
    let folder = TempDir::new().unwrap();
    let path = insects(&folder).display().to_string();
    let refused = |data: &str, more: &[&str]| refused(folder.path(), data, &[more, &["--loss", "mse"]].concat());
    let (code, message) = refused(&path, &["--classes", "bee,wasp"]);
    assert_eq!(code, 2);
    names(&message, &["--classes names the class \"wasp\": the data have \"ant\", \"bee\"; it must be one of them"]);
    let (code, message) = refused("uniform:40x4", &["--classes", "0"]);
    assert_eq!(code, 2);
    names(&message, &["--classes names the class \"0\": the data have no labels"]);
    // A number between the classes' own, of which there is no example, and a set without any.
    fs::write(folder.path().join("numbers.csv"), "x,y,label\n1,0,0\n0,1,2\n1,1,0\n0,0,2\n").unwrap();
    fs::write(folder.path().join("test.csv"), "x,y,label\n1,0,0\n").unwrap();
    let (code, message) = refused("numbers.csv", &["--classes", "1", "--test-data", "test.csv"]);
    assert_eq!(code, 2);
    names(&message, &["\"1\": the data have \"0\", \"2\";"]);
    let (code, message) = refused("numbers.csv", &["--classes", "2", "--test-data", "test.csv"]);
    assert_eq!(code, 2);
    names(&message, &["--classes 2: none of 1 test example", "test.csv"]);
}

#[test]
fn a_run_keeps_to_its_classes_and_reads_all_of_other_data() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    insects(&folder);
    let (printed, _) = train(root, "insects.csv", &["--classes", "bee", "--loss", "mse"]);
    names(&printed, &["of --classes bee:", "2 classes (ant, bee)"]);
    let config = fs::read_to_string(root.join("run/config.toml")).unwrap();
    assert!(config.contains("classes = [\"bee\"]"), "{config}");
    let eval = |more: &[&str]| {
        let eval = ["eval", "run", "--device", "cpu", "--samples", "0"];
        let printed = command(root).args(eval).args(more).assert().success().get_output().stdout.clone();
        String::from_utf8(printed).unwrap()
    };
    let own = eval(&["--set", "all"]);
    names(&own, &["insects.csv, 20 examples", "of --classes bee:"]);
    assert!(!own.contains("these are not the data"), "{own}");
    let others = eval(&["--data", "insects.csv"]);
    names(
        &others,
        &["insects.csv, 60 examples", "the model was trained with --classes bee alone: all classes are read"],
    );
    let resume = ["train", "--resume", "run", "--epochs", "2", "--device", "cpu"];
    command(root).args(resume).args(["--classes", "ant"]).assert().code(2);
    command(root).args(resume).assert().success();
}
