//! `vae-gpu score`: what scores are equal to, what they do not depend on, what is written, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::common::{gpu, vae_gpu};
use assert_cmd::assert::Assert;
use predicates::prelude::*;
use serde_json::Value;
use tempfile::TempDir;
use vae_gpu::backend::cpu::Cpu;
use vae_gpu::backend::gpu::GpuOptions;
use vae_gpu::data::{Dataset, Images, Values};
use vae_gpu::models::Model;
use vae_gpu::plan::Options;
use vae_gpu::ranks::Alone;
use vae_gpu::train::evaluate::Request;
use vae_gpu::train::score::Measure;
use vae_gpu::train::{Checkpoint, RunFolder};

/// The first digits of the embedded MNIST as IDX files in `digits`: 2000 to train on, 300 to test.
fn digits(folder: &Path) {
    let data = Dataset::embedded().unwrap();
    fs::create_dir(folder.join("digits")).unwrap();
    for (name, images, count) in [("train", data.train, 2000), ("t10k", data.test, 300)] {
        let Images { pixels: Values::Bytes(bytes), labels, .. } = images.take_first(count) else { panic!("bytes") };
        let labels: Vec<u8> = labels.into_iter().map(|label| label.unwrap() as u8).collect();
        let write = |what: &str, sizes: &[u32], values: &[u8]| {
            let header =
                [0, 0, 8, sizes.len() as u8].into_iter().chain(sizes.iter().flat_map(|size| size.to_be_bytes()));
            let bytes: Vec<u8> = header.chain(values.iter().copied()).collect();
            fs::write(folder.join(format!("digits/{name}-{what}-ubyte")), bytes).unwrap();
        };
        write("images-idx3", &[count as u32, 28, 28], &bytes);
        write("labels-idx1", &[count as u32], &labels);
    }
}

/// A folder with a run of a small model on the digits.
fn trained(more: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    digits(folder.path());
    let small = ["--data", "digits", "--hidden", "64", "--latent", "4", "--batch-size", "16"];
    let epochs = if more.contains(&"--epochs") { &[][..] } else { &["--epochs", "2"] };
    vae_gpu(folder.path(), &["train", "--out", "run", "--device", "cpu", "--quiet"])
        .args(small)
        .args([epochs, more].concat())
        .assert()
        .success();
    folder
}

fn score(folder: &Path, more: &[&str]) -> Assert {
    vae_gpu(folder, &["score", "run", "--device", "cpu"]).args(more).assert()
}

fn json(folder: &Path, args: &[&str]) -> Value {
    let printed = vae_gpu(folder, &[]).args(args).args(["--json", "-"]).assert().success();
    serde_json::from_slice(&printed.get_output().stdout).unwrap()
}

/// The summary, and a column of the table by name.
fn scored(folder: &Path, more: &[&str]) -> (Value, BTreeMap<String, Vec<String>>) {
    let summary = json(folder, &[&["score", "run", "--device", "cpu"], more].concat());
    (summary, columns(&folder.join("scores.csv")))
}

fn columns(file: &Path) -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(file).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let names = lines.next().unwrap();
    let rows: Vec<Vec<String>> = lines.collect();
    let column = |at: usize| rows.iter().map(|row| row[at].clone()).collect();
    names.iter().enumerate().map(|(at, name)| (name.clone(), column(at))).collect()
}

fn numbers(column: &[String]) -> Vec<f64> {
    column.iter().map(|text| text.parse().unwrap()).collect()
}

fn near(a: f64, b: f64, relative: f64, what: &str) {
    assert!((a - b).abs() <= relative * a.abs().max(b.abs()), "{what}: {a} and {b}");
}

#[test]
fn means_are_those_of_evaluation() {
    for more in [&["--binarise", "none"][..], &["--binarise", "bernoulli"], &["--loss", "gaussian"]] {
        let folder = trained(more);
        let folder = folder.path();
        let eval = json(folder, &["eval", "run", "--device", "cpu", "--samples", "20"]);
        let eval = |key: &str| eval[key].as_f64().unwrap();
        let mean = |more: &[&str]| scored(folder, more).0["mean"].as_f64().unwrap();
        near(mean(&["--by", "elbo", "--samples", "1"]), -eval("elbo"), 1e-5, "one draw, as evaluation has it");
        near(mean(&[]), -eval("elbo"), 0.02, "ten draws");
        near(mean(&["--by", "likelihood", "--samples", "20"]), -eval("log_likelihood"), 1e-12, "likelihood");
        let (summary, table) = scored(folder, &["--by", "elbo", "--samples", "1"]);
        assert_eq!((&summary["samples"], &summary["unit"]), (&1.into(), &"nats".into()));
        let of = |name: &str| numbers(&table[name]);
        near(of("reconstruction").iter().sum::<f64>() / 300.0, eval("reconstruction"), 1e-5, "reconstruction");
        near(of("kl").iter().sum::<f64>() / 300.0, eval("kl"), 1e-5, "kl");
    }
    for more in [["--model", "ae"], ["--model", "collapsed"], ["--model", "contractive"]] {
        for loss in ["mse", "bce"] {
            let folder = trained(&[&more[..], &["--loss", loss, "--epochs", "1"]].concat());
            let eval = json(folder.path(), &["eval", "run", "--device", "cpu"]);
            let (summary, table) = scored(folder.path(), &[]);
            assert_eq!(summary["by"], "reconstruction", "{more:?}");
            assert_eq!(summary["unit"] == "nats", loss == "bce", "{summary}");
            let what = format!("{more:?} {loss}");
            near(summary["mean"].as_f64().unwrap(), eval["reconstruction"].as_f64().unwrap(), 1e-5, &what);
            assert!(table["kl"].iter().all(String::is_empty), "{table:?}");
        }
    }
}

#[test]
fn every_device_gives_the_same_scores() {
    if gpu(GpuOptions::default()).is_none() {
        return;
    }
    let folder = trained(&[]);
    for by in ["reconstruction", "elbo", "likelihood"] {
        let of = |device: &str| {
            let args = ["score", "run", "--by", by, "--samples", "10", "--device", device];
            let args = if by == "reconstruction" { [&args[..4], &args[6..]].concat() } else { args.to_vec() };
            vae_gpu(folder.path(), &[]).args(args).assert().success();
            numbers(&columns(&folder.path().join("scores.csv"))["score"])
        };
        let (cpu, gpu) = (of("cpu"), of("gpu"));
        assert_eq!(cpu.len(), 300);
        cpu.iter().zip(&gpu).enumerate().for_each(|(at, (&a, &b))| near(a, b, 1e-5, &format!("{by} of {at}")));
    }
}

#[test]
fn scores_depend_on_the_example_alone() {
    let folder = trained(&[]);
    let run = RunFolder::open(&folder.path().join("run")).unwrap();
    let checkpoint = Checkpoint::load(&run.checkpoint("best")).unwrap();
    let model = Model::new(checkpoint.header.model.clone()).unwrap();
    let (config, test) = (run.config().unwrap(), Dataset::embedded().unwrap().test);
    for by in [Measure::Reconstruction, Measure::Elbo, Measure::Likelihood] {
        let of = |count: usize| {
            let images = test.clone().take_first(count);
            let parameters = &checkpoint.parameters;
            let request = Request {
                model: &model,
                parameters,
                config: &config,
                images: &images,
                samples: 12,
                densities: &[],
                ranks: &Alone,
            };
            request.scores(by, &Cpu::<f32>::new(), Options::default(), |_| ()).unwrap().scores
        };
        let all = of(203);
        assert_eq!(of(203), all, "{by:?} again");
        for count in [1, 7, 23, 150] {
            assert_eq!(of(count), all[..count], "{by:?} of {count}");
        }
    }
}

#[test]
fn anomalies_are_the_highest_scores() {
    let folder = trained(&[]);
    let folder = folder.path();
    let (summary, table) = scored(folder, &["--contamination", "0.1"]);
    assert_eq!((&summary["examples"], &summary["anomalies"]), (&300.into(), &30.into()));
    let names = ["example", "file", "label", "class", "score", "reconstruction", "kl", "anomaly"];
    let header = fs::read_to_string(folder.join("scores.csv")).unwrap().lines().next().unwrap().to_owned();
    assert_eq!(header, names.join(","));
    let (scores, marks) = (numbers(&table["score"]), numbers(&table["anomaly"]));
    let least = summary["threshold"].as_f64().unwrap();
    assert_eq!(marks.iter().sum::<f64>(), 30.0);
    assert!(scores.iter().zip(&marks).all(|(&score, &mark)| (score >= least) == (mark == 1.0)));
    for (at, score) in scores.iter().enumerate() {
        near(*score, numbers(&table["reconstruction"])[at] + numbers(&table["kl"])[at], 1e-12, "the bound's terms");
    }
    let test = Dataset::embedded().unwrap().test.take_first(300);
    let label = |at: usize| test.labels[at].unwrap().to_string();
    assert!((0..300).all(|at| table["label"][at] == label(at) && table["class"][at] == label(at)));
    assert_eq!(table["example"][299], "299");
    let mut sorted = scores.clone();
    sorted.sort_by(f64::total_cmp);
    assert_eq!(summary["median"].as_f64().unwrap(), 0.5 * (sorted[149] + sorted[150]));
    assert_eq!(summary["max"].as_f64().unwrap(), sorted[299]);
    // The threshold that is printed marks the same examples.
    let printed = String::from_utf8(score(folder, &["--contamination", "0.1"]).success().get_output().stdout.clone());
    let printed = printed.unwrap();
    let shown = printed.lines().find_map(|line| line.strip_prefix("threshold")).unwrap().trim();
    let (again, by_threshold) = scored(folder, &["--threshold", shown]);
    assert_eq!((&again["anomalies"], &by_threshold["anomaly"]), (&30.into(), &table["anomaly"]));
    let (none, table) = scored(folder, &[]);
    assert!(
        none["threshold"].is_null() && none["anomalies"].is_null() && table["anomaly"].iter().all(String::is_empty)
    );
    assert_eq!(scored(folder, &["--threshold=-1"]).0["anomalies"], 300);
    assert_eq!(scored(folder, &["--contamination", "0.0001"]).0["anomalies"], 1);
}

#[test]
fn a_model_of_one_digit_finds_the_others() {
    let folder = trained(&["--classes", "1", "--epochs", "30"]);
    let folder = folder.path();
    let maps = |more: &[&str]| {
        let _ = fs::remove_dir_all(folder.join("maps"));
        let printed = score(folder, &[&["--maps", "maps"], more].concat()).success();
        let printed = String::from_utf8(printed.get_output().stdout.clone()).unwrap();
        let names = fs::read_dir(folder.join("maps")).unwrap().map(|file| file.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        (printed, names)
    };
    let (printed, names) = maps(&["--normal", "1", "--json", "summary.json"]);
    for part in
        ["the model was trained with --classes 1 alone: all classes are read", "300 examples", "maps: 16 of image"]
    {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    assert!(!printed.contains("these are not the data"), "{printed}");
    let summary: Value = serde_json::from_slice(&fs::read(folder.join("summary.json")).unwrap()).unwrap();
    assert!(
        summary["auroc"].as_f64().unwrap() > 0.9 && summary["average_precision"].as_f64().unwrap() > 0.95,
        "{summary}"
    );
    assert_eq!(summary["normal"].as_u64().unwrap() + summary["anomalous"].as_u64().unwrap(), 300);
    assert!(summary["map_white"].as_f64().unwrap() > 0.5, "{summary}");
    let scores = numbers(&columns(&folder.join("scores.csv"))["score"]);
    let highest = (0..300).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
    assert_eq!((names.len(), &names[0]), (16, &format!("01-example-{highest}.png")));
    let picture = image::open(folder.join("maps").join(&names[0])).unwrap();
    assert_eq!((picture.width(), picture.height()), (3 * 28 * 7 + 4 * 2, 28 * 7 + 2 * 2));
    let (printed, names) = maps(&["--contamination", "0.02"]);
    assert!(printed.contains("AUROC             -  (--normal names the normal classes)"), "{printed}");
    assert_eq!(names.len(), 6);
    let all = score(folder, &["--normal", "0,1,2,3,4,5,6,7,8,9"]).success();
    all.stdout(predicate::str::contains("AUROC             -  (no example is anomalous)"));
    // The classes that it was trained on are all that other commands read.
    let eval = json(folder, &["eval", "run", "--device", "cpu", "--samples", "0"]);
    assert_eq!(eval["images"], summary["normal"]);
}

#[test]
fn classes_that_the_model_does_not_know_are_anomalous() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    let picture = |path: &str, seed: u8| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::GrayImage::from_fn(8, 8, |x, y| image::Luma([(x + y) as u8 * 10 + seed])).save(path).unwrap();
    };
    (0..20).for_each(|at| picture(&format!("good/fine/{at}.png"), at));
    (0..3).for_each(|at| picture(&format!("new/{}/{at}.png", if at == 1 { "fine" } else { "broken" }), 90 * at));
    let train = ["train", "--data", "good", "--out", "run", "--epochs", "1", "--batch-size", "4", "--device", "cpu"];
    vae_gpu(root, &train).assert().success();
    let (summary, table) = scored(root, &["--data", "new", "--normal", "fine"]);
    assert_eq!((&summary["normal"], &summary["anomalous"]), (&1.into(), &2.into()));
    assert!(summary["auroc"].is_number(), "{summary}");
    assert_eq!(table["class"], ["broken", "broken", "fine"]);
    assert_eq!((&table["label"][2], &table["file"][2]), (&"0".to_owned(), &"fine/1.png".to_owned()));
}

#[test]
fn what_cannot_be_scored_is_named_and_nothing_written() {
    let folder = trained(&["--epochs", "1"]);
    let root = folder.path();
    fs::write(root.join("numbers.csv"), (0..20).map(|at| format!("0.{at},1,0\n")).collect::<String>()).unwrap();
    let small = ["--hidden", "4", "--latent", "2", "--epochs", "1", "--batch-size", "8", "--device", "cpu", "--quiet"];
    for (out, flags) in [
        ("gan", &["--data", "uniform:20x4", "--model", "gan"][..]),
        ("ae", &["--data", "uniform:20x4", "--model", "ae"]),
        ("mse", &["--data", "uniform:20x4", "--loss", "mse"]),
        ("table", &["--data", "numbers.csv"]),
    ] {
        vae_gpu(root, &[]).args(["train", "--out", out]).args(flags).args(small).assert().success();
    }
    let before = fs::read_dir(root).unwrap().count();
    let wrong: [(&[&str], &str); 17] = [
        (&["gan"], "gan can't be scored: it has no encoder; these can: ae, vae"),
        (&["gan", "--by", "elbo"], "gan can't be scored"),
        (&["ae", "--by", "elbo"], "--by elbo does not belong to --model ae: it is for vae, iwae; ae has no posterior"),
        (&["ae", "--by", "likelihood"], "--by likelihood does not belong to --model ae"),
        (
            &["mse", "--by", "elbo"],
            "--by elbo needs a loss that is a likelihood, one of bce, continuous-bernoulli, gaussian, disc",
        ),
        (&["mse", "--by", "likelihood"], "--loss mse"),
        (&["mse", "--samples", "3"], "--samples is for --by elbo or likelihood"),
        (&["run", "--samples", "0"], "--samples"),
        (&["run", "--threshold", "1", "--contamination", "0.1"], "cannot be used with"),
        (&["run", "--threshold", "nan"], "a finite number"),
        (&["run", "--contamination", "0"], "above 0 and below 1"),
        (&["run", "--contamination", "1"], "above 0 and below 1"),
        (&["run", "--contamination=-0.1"], "above 0 and below 1"),
        (&["run", "--normal", "1,ten"], "--normal names the class \"ten\": the data have \"0\", \"1\""),
        (&["ae", "--normal", "1"], "--normal needs labels: no example of uniform:20x4 has one"),
        (&["table", "--maps", "maps"], "--maps draws images: numbers.csv is a table"),
        (&["run", "--by", "distance"], "likelihood"),
    ];
    for (args, named) in wrong {
        let refused = vae_gpu(root, &[]).arg("score").args(args).args(["--device", "cpu"]).assert().code(2);
        refused.stdout("").stderr(predicate::str::contains(named).and(predicate::str::contains("panicked").not()));
        assert_eq!(fs::read_dir(root).unwrap().count(), before, "{args:?} left something behind");
    }
    for target in [["--out", "no/scores.csv"], ["--json", "no/scores.json"], ["--maps", "numbers.csv"]] {
        score(root, &target).code(1).stdout("").stderr(predicate::str::contains(target[1]));
        assert_eq!(fs::read_dir(root).unwrap().count(), before, "{target:?} left something behind");
    }
    let best = root.join("run/checkpoints/best.safetensors");
    let mut checkpoint = Checkpoint::load(&best).unwrap();
    checkpoint.parameters.fill(f32::NAN);
    fs::write(&best, checkpoint.to_bytes().unwrap()).unwrap();
    let refused = score(root, &["--by", "reconstruction"]).code(1);
    refused.stderr(predicate::str::contains("the reconstruction score of example 0 is NaN"));
    assert_eq!(fs::read_dir(root).unwrap().count(), before);
}
