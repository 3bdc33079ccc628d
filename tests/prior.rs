//! Priors that a model learns: what they are drawn from and measured by, and what they do not go with.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use crate::common::vae_gpu;
use predicates::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

/// A table of 400 rows around three places, far apart for how they vary.
fn table(folder: &Path) {
    let places = [[0.1, 0.1, 0.9, 0.2], [0.9, 0.2, 0.1, 0.8], [0.5, 0.9, 0.5, 0.1]];
    let row = |i: usize| {
        let of = |e: usize| places[i % 3][e] + 0.02 * ((i * (e + 3) * 7 % 11) as f64 / 11.0);
        format!("{},{},{},{}\n", of(0), of(1), of(2), of(3))
    };
    fs::write(folder.join("places.csv"), "a,b,c,d\n".to_owned() + &(0..400).map(row).collect::<String>()).unwrap();
}

#[test]
fn a_learned_prior_lies_where_the_codes_do() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    table(folder);
    let train = |name: &str, prior: &str, epochs: &str| {
        let small = ["--hidden", "16", "--latent", "2", "--batch-size", "20", "--lr", "0.01", "--loss", "gaussian"];
        vae_gpu(folder, &["train", "--data", "places.csv", "--out", name, "--device", "cpu", "--quiet"])
            .args(small)
            .args(["--variance", "optimal", "--prior", prior, "--epochs", epochs])
            .assert()
            .success();
    };
    train("normal", "normal", "60");
    train("vamp", "vamp:6", "60");
    let json = |args: &[&str]| -> Value {
        let done = vae_gpu(folder, args).args(["--device", "cpu", "--json", "-"]).assert().success();
        serde_json::from_slice(&done.get_output().stdout).unwrap()
    };
    let [normal, vamp] = ["normal", "vamp"].map(|run| json(&["eval", run, "--samples", "500"]));
    let number = |of: &Value, key: &str| of[key].as_f64().unwrap();
    let source = |of: &Value| of["sources"][0]["log_density"].as_f64().unwrap();
    // A prior of three places tells which of them for less than N(0, I) does, and its bound is a bound.
    assert!(number(&vamp, "log_likelihood") > number(&normal, "log_likelihood"), "{vamp} {normal}");
    assert!(number(&vamp, "log_likelihood") >= number(&vamp, "elbo") - 0.05, "{vamp}");
    assert!(source(&vamp) > source(&normal) + 0.5, "{vamp} {normal}");
    assert!(
        vamp["kl_by_dimension"].as_array().unwrap().is_empty()
            && !normal["kl_by_dimension"].as_array().unwrap().is_empty()
    );
    // The scores' mean is the bound that evaluation has.
    json(&["score", "vamp", "--by", "elbo", "--samples", "200", "--out", "scores.csv"]);
    let table = fs::read_to_string(folder.join("scores.csv")).unwrap();
    let at = table.lines().next().unwrap().split(',').position(|name| name == "score").unwrap();
    let scores: Vec<f64> =
        table.lines().skip(1).map(|line| line.split(',').nth(at).unwrap().parse().unwrap()).collect();
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    assert!((mean + number(&vamp, "elbo")).abs() < 0.5, "{mean} {vamp}");
    // Draws of it are of the places: each within what the decoder leaves.
    vae_gpu(folder, &["sample", "vamp", "-n", "300", "--npy", "drawn.npy", "--device", "cpu"]).assert().success();
    let (_, width, drawn) = vae_gpu::data::npy::read_f32(&folder.join("drawn.npy")).unwrap();
    let near = |row: &[f32], place: [f32; 2]| (row[0] - place[0]).abs() < 0.12 && (row[1] - place[1]).abs() < 0.12;
    let of = |place| drawn.chunks(width).filter(|row| near(row, place)).count();
    let counts = [[0.1, 0.1], [0.9, 0.2], [0.5, 0.9]].map(of);
    assert!(counts.iter().sum::<usize>() > 250 && counts.iter().all(|count| *count > 20), "{counts:?}");
    // Stopped and resumed, it is the same run; the pseudo-inputs go with the checkpoint.
    train("resumed", "vamp:6", "30");
    vae_gpu(folder, &["train", "--resume", "resumed", "--epochs", "60", "--device", "cpu", "--quiet"])
        .assert()
        .success();
    let last = |run: &str| fs::read(folder.join(run).join("checkpoints/last.safetensors")).unwrap();
    assert!(last("vamp") == last("resumed"));
}

#[test]
fn what_a_learned_prior_does_not_go_with_is_refused() {
    let folder = TempDir::new().unwrap();
    table(folder.path());
    for (args, why) in [
        (&["--prior", "vamp:0"][..], "\"vamp:0\" is no prior: give normal, or vamp:K"),
        (&["--prior", "vamp"], "is no prior"),
        (&["--prior", "vamp:5", "--model", "ae"], "--prior does not belong to --model ae"),
        (&["--prior", "vamp:5", "--free-bits", "0.1"], "--prior vamp:5 does not go with --free-bits"),
        (&["--prior", "vamp:5", "--condition", "label"], "--prior vamp:5 does not go with --condition"),
        (&["--prior", "vamp:5", "--conv", "8", "--norm", "batch"], "--prior vamp:5 does not go with batch norm"),
    ] {
        vae_gpu(folder.path(), &["train", "--epochs", "1", "--device", "cpu"])
            .args(args)
            .assert()
            .code(2)
            .stderr(predicate::str::contains(why));
    }
}
