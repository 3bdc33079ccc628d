//! The command: wrong input is an error that names it, with the right exit code and nothing half-written.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use assert_cmd::Command;
use predicates::prelude::*;
use std::path::Path;
use vae_gpu::density::{Density, DensityKind};
use vae_gpu::train::Checkpoint;

fn vae_gpu(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("vae-gpu").expect("the binary is built with the tests");
    command.current_dir(folder).env("VAE_GPU_PROFILE", "none"); // never the user's own
    command
}

#[test]
fn wrong_flags_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let wrong: [(&[&str], &str); 31] = [
        (&["--latent", "0"], "latent"),
        (&["--hidden", ","], "hidden"),
        (&["--batch-size", "0"], "batch-size"),
        (&["--epochs", "0"], "epochs"),
        (&["--lr", "nan"], "lr"),
        (&["--beta=-1"], "beta"),
        (&["--activation", "relo"], "activation"),
        (&["--device", "99"], "99"),
        (&["--model", "transformer"], "contractive"),
        (&["--preset", "none"], "burda-vae"),
        (&["--beta", "nan"], "beta"),
        (&["--beta-schedule", "linear:0"], "linear:EPOCHS"),
        (&["--lr-schedule", "steps:2,1:0.5"], "steps:EPOCH"),
        (&["--model", "ae", "--free-bits", "0.5"], "--free-bits does not belong to --model ae: it is for vae"),
        (&["--model", "ae", "--beta", "4"], "--beta does not belong"),
        (&["--noise", "gaussian:-1"], "DEVIATION"),
        (&["--noise", "mask:1"], "FRACTION"),
        (&["--model", "gan", "--noise", "mask:0.5"], "--noise does not belong"),
        (&["--model", "iwae", "--samples", "0"], "--samples"),
        (&["--samples", "5"], "it is for iwae"),
        (&["--penalty", "l3:1"], "l1:WEIGHT"),
        (&["--contraction=-1"], "--contraction"),
        (&["--loss", "bce", "--output", "identity"], "--output"),
        (
            &["--loss", "continuous-bernoulli", "--binarise", "bernoulli"],
            "--binarise does not go with --loss continuous",
        ),
        (
            &["--loss", "continuous-bernoulli", "--data", "normal:100x4", "--scale", "none"],
            "in [0, 1] with --loss cont",
        ),
        (
            &["--loss", "discretised-logistic", "--binarise", "threshold"],
            "--binarise does not go with --loss discretised",
        ),
        (&["--loss", "discretised-logistic", "--data", "uniform:100x4"], "takes the 256 levels of bytes"),
        (&["--precision", "f16", "--device", "cpu"], "--precision f16 is for GPUs"),
        (&["--data", "uniform:9x6", "--batch-size", "9", "--augment", "shift:6"], "its images are 1x6"),
        (&["--data", "uniform:0x4"], "uniform:"),
        (&["--data", "normal:100x4", "--scale", "none"], "in [0, 1]"),
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

#[test]
fn every_command_works_on_every_model() {
    for model in ["ae", "vae", "collapsed", "iwae", "contractive", "gan"] {
        let folder = tempfile::tempdir().unwrap();
        let run = |args: &[&str]| vae_gpu(folder.path()).args(args).args(["--device", "cpu"]).assert();
        let flags =
            ["--hidden", "8", "--latent", "2", "--data", "uniform:64x16", "--batch-size", "16", "--epochs", "2"];
        run(&[&["train", "--model", model, "--out", "run"], &flags[..]].concat()).success();
        let shape = |file: &str| {
            let bytes = std::fs::read(folder.path().join(file)).unwrap();
            String::from_utf8_lossy(&bytes[..100])
                .split("'shape': ")
                .nth(1)
                .unwrap()
                .split('}')
                .next()
                .unwrap()
                .to_owned()
        };
        run(&["sample", "run", "-n", "5", "--npy", "samples.npy"]).success();
        assert!(shape("samples.npy").starts_with("(5, 16"), "{}", shape("samples.npy"));
        run(&["traverse", "run", "--steps", "3"]).success();
        if model == "gan" {
            run(&["eval", "run"]).code(2).stderr(predicate::str::contains("gan can't be evaluated"));
            let refused = "--from mixture does not belong to --model gan";
            run(&["sample", "run", "--from", "mixture"]).code(2).stderr(predicate::str::contains(refused));
            for command in ["encode", "interpolate", "reconstruct"] {
                run(&[command, "run"]).code(2).stderr(predicate::str::contains("gan has no encoder"));
            }
            assert!(!folder.path().join("codes.npy").exists());
            continue;
        }
        let variational = ["vae", "iwae"].contains(&model);
        let output = run(&["eval", "run", "--samples", "10", "--json", "-"]).success().get_output().stdout.clone();
        let result: serde_json::Value = serde_json::from_slice(&output).unwrap();
        assert_eq!(result["log_likelihood"].is_number(), variational, "{model}: {result}");
        assert!(result["mse"].as_f64().unwrap() > 0.0 && result["images"] == 64, "{result}");
        let sources = result["sources"].as_array().unwrap();
        let names: Vec<&str> = sources.iter().map(|fit| fit["from"].as_str().unwrap()).collect();
        assert_eq!(names, ["prior", "gaussian", "mixture"][usize::from(!variational)..]);
        let nearest =
            sources.iter().max_by(|a, b| a["log_density"].as_f64().partial_cmp(&b["log_density"].as_f64()).unwrap());
        assert_eq!(result["sample_from"], nearest.unwrap()["from"]);
        let from =
            |source: &str| run(&["sample", "run", "-n", "3", "--from", source, "--npy", &format!("{source}.npy")]);
        from("gaussian").success().stdout(predicate::str::contains("samples-gaussian-seed0.png"));
        from("mixture").success();
        let drawn =
            ["gaussian", "mixture"].map(|source| std::fs::read(folder.path().join(format!("{source}.npy"))).unwrap());
        assert_ne!(drawn[0], drawn[1]);
        // Trained when it is first asked for, kept, and measured with the others from then on.
        for source in ["flow", "second-stage"] {
            let fitting = format!("fitting the {source} to the training codes");
            from(source).success().stdout(predicate::str::contains(&fitting));
            from(source).success().stdout(predicate::str::contains(&fitting).not());
        }
        let output = run(&["eval", "run", "--json", "-"]).success().get_output().stdout.clone();
        let result: serde_json::Value = serde_json::from_slice(&output).unwrap();
        let [.., flow, stage] = &result["sources"].as_array().unwrap()[..] else { panic!("{result}") };
        assert!(flow["from"] == "flow" && stage["from"] == "second-stage", "{result}");
        assert!(flow["log_density"].is_number() && stage["log_density"].is_number(), "{result}");
        match variational {
            true => from("prior").success(),
            false => from("prior").code(2).stderr(predicate::str::contains("has no prior")),
        };
        run(&["encode", "run", "--out", "codes.npy"]).success();
        assert!(shape("codes.npy").starts_with("(64, 2"), "{}", shape("codes.npy"));
        assert_eq!(folder.path().join("codes.deviation.npy").exists(), variational);
        run(&["decode", "run", "codes.npy", "--npy", "decoded.npy"]).success();
        assert!(shape("decoded.npy").starts_with("(64, 16"), "{}", shape("decoded.npy"));
        run(&["decode", "run", "decoded.npy"]).code(1).stderr(predicate::str::contains("decoded.npy"));
        run(&["interpolate", "run", "--pair", "0,63"]).success();
        run(&["interpolate", "run", "--pair", "0,64"]).code(2).stderr(predicate::str::contains("64"));
        run(&["reconstruct", "run"]).success();
        if !variational {
            let density = folder.path().join("run/checkpoints/best.mixture.safetensors");
            assert!(density.exists(), "{model}");
            std::fs::write(&density, "damaged").unwrap();
            run(&["sample", "run"]).code(1).stderr(predicate::str::contains("best.mixture.safetensors"));
            let best = Checkpoint::load(&folder.path().join("run/checkpoints/best.safetensors")).unwrap();
            let other = Density::fit(DensityKind::Mixture, &[1.0; 6], 3, 0).unwrap();
            other.save(&density, &best.identity()).unwrap();
            run(&["sample", "run"]).code(1).stderr(predicate::str::contains("best.mixture.safetensors"));
            std::fs::remove_file(&density).unwrap();
            run(&["sample", "run"]).success().stdout(predicate::str::contains("fitting"));
            assert!(density.exists(), "{model}");
        }
        for figure in ["samples-seed0", "traversals", "interpolations", "reconstructions-16", "loss", "latent"] {
            assert!(folder.path().join(format!("run/figures/{figure}.png")).exists(), "{model}: {figure}");
        }
    }
}

#[test]
fn flags_win_over_files_and_files_over_presets() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.toml"), "latent = 3\nepochs = 1\n").unwrap();
    let args = ["train", "--preset", "sources-small-vae", "--config", "mine.toml", "--seed", "9", "--device", "cpu"];
    vae_gpu(folder.path()).args(args).args(["--out", "run", "--quiet"]).assert().success().stdout("");
    let written = std::fs::read_to_string(folder.path().join("run/config.toml")).unwrap();
    for line in ["latent = 3", "epochs = 1", "seed = 9", "loss = \"mse\"", "data = \"uniform:100x10\""] {
        assert!(written.lines().any(|found| found == line), "{line}: {written}");
    }
    std::fs::write(folder.path().join("mine.toml"), "latnet = 3\n").unwrap();
    let assert = vae_gpu(folder.path()).args(args).args(["--out", "other"]).assert();
    assert.code(1).stderr(predicate::str::contains("mine.toml").and(predicate::str::contains("latnet")));
}

/// `rows` examples of 4 values each.
fn table(path: &Path, rows: usize) {
    let rows = (0..rows).map(|row| format!("{},{},1,{}\n", row % 2, row / 2 % 2, row / 4 % 2));
    std::fs::write(path, rows.collect::<String>()).unwrap();
}

#[test]
fn a_file_names_data_beside_itself() {
    let folder = tempfile::tempdir().unwrap();
    let root = std::fs::canonicalize(folder.path()).unwrap();
    std::fs::create_dir(root.join("recipes")).unwrap();
    table(&root.join("recipes/there.csv"), 20);
    table(&root.join("here.csv"), 10);
    let text = "data = 'there.csv'\ntest-data = '../here.csv'\nhidden = [4]\nlatent = 2\nbatch-size = 10\nepochs = 1\n";
    std::fs::write(root.join("recipes/mine.toml"), text).unwrap();
    let run = |args: &[&str]| vae_gpu(&root).args(args).args(["--device", "cpu"]).assert();
    run(&["train", "--config", "recipes/mine.toml", "--out", "run"]).success();
    let written = std::fs::read_to_string(root.join("run/config.toml")).unwrap();
    for (key, file) in [("data", "recipes/there.csv"), ("test-data", "here.csv")] {
        let line = format!("{key} = {:?}", root.join(file));
        assert!(written.lines().any(|found| found == line), "{line}: {written}");
    }
    run(&["train", "--config", "recipes/mine.toml", "--data", "here.csv", "--out", "other"]).success();
    // What comes through a pipe has no folder but the working directory.
    let piped = ["train", "--config", "/dev/stdin", "--print-config"];
    let printed = vae_gpu(&root).args(piped).write_stdin("data = 'here.csv'").assert().success();
    printed.stdout(predicate::str::contains(format!("data = {:?}", root.join("here.csv"))));
    std::fs::remove_file(root.join("recipes/there.csv")).unwrap();
    let missing = run(&["train", "--config", "recipes/mine.toml", "--out", "none"]);
    missing.code(1).stderr(predicate::str::contains("recipes/there.csv"));
}

#[test]
fn a_small_test_set_is_shown_whole_or_told() {
    let folder = tempfile::tempdir().unwrap();
    table(&folder.path().join("ten.csv"), 10);
    table(&folder.path().join("thirty.csv"), 30);
    let run = |args: &[&str]| vae_gpu(folder.path()).args(args).args(["--device", "cpu"]).assert();
    let small = ["--hidden", "4", "--latent", "2", "--batch-size", "5", "--epochs", "1", "--quiet"];
    run(&[&["train", "--data", "ten.csv", "--out", "run"], &small[..]].concat()).success();

    let two = "interpolate needs two test images: ten.csv has 1; name other data with --data";
    run(&["interpolate", "run"]).code(2).stderr(predicate::str::contains(two));
    run(&["interpolate", "run", "--data", "thirty.csv"]).success();
    run(&["interpolate", "run", "--pair", "0,0"]).success();

    run(&["reconstruct", "run"]).success().stdout(predicate::str::contains("images: all 1 of ten.csv"));
    run(&["reconstruct", "run", "--data", "thirty.csv"]).success();
    for (name, there) in [("1", true), ("3", false), ("16", true)] {
        assert_eq!(folder.path().join(format!("run/figures/reconstructions-{name}.png")).exists(), there, "{name}");
    }
    run(&["reconstruct", "run", "-n", "2"]).code(2).stderr(predicate::str::contains("--count is 2: ten.csv has 1"));
    run(&["reconstruct", "run", "--data", "uniform:1000x4", "-n", "1000", "--out", "many.png"]).success();
    let many = image::open(folder.path().join("many.png")).unwrap();
    assert!(many.height() < 2 * many.width(), "{} {}", many.width(), many.height());
    let enough = run(&["reconstruct", "run", "--data", "uniform:40x4"]).success();
    enough.stdout(predicate::str::contains("reconstructions-16.png").and(predicate::str::contains("images:").not()));
}

#[test]
fn a_run_that_stops_early_has_its_last_figures() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["train", "--data", "uniform:40x16", "--hidden", "4", "--latent", "2", "--batch-size", "20"];
    let early = ["--epochs", "1000", "--patience", "1", "--lr", "0.5", "--out", "run", "--device", "cpu"];
    let assert = vae_gpu(folder.path()).args(args).args(early).assert().success();
    assert.stdout(predicate::str::contains("stopped after epoch"));
    // It took less than the second before which none are drawn but the last.
    for figure in ["loss", "samples", "reconstructions", "latent"] {
        assert!(folder.path().join(format!("run/figures/{figure}.png")).exists(), "{figure}");
    }
}

/// The lines of `vae-gpu bench` with these flags, as JSON.
fn bench(flags: &[&str]) -> Vec<serde_json::Value> {
    bench_told(flags, "")
}

/// The same with such input.
fn bench_told(flags: &[&str], input: &str) -> Vec<serde_json::Value> {
    let folder = tempfile::tempdir().unwrap();
    let args = ["bench", "--device", "cpu", "--work", "standard-128", "--seconds", "0.2", "--json"];
    let mut command = vae_gpu(folder.path());
    let output = command.args(args).args(flags).write_stdin(input).assert().success().get_output().stdout.clone();
    String::from_utf8(output).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn bench_tells_what_ran_where() {
    let [line] = &bench(&[])[..] else { panic!("one work, one line") };
    let keys = [
        "work",
        "device",
        "adapter",
        "driver",
        "images_per_s",
        "ms_per_step",
        "dispatches_per_step",
        "flops_per_step",
        "share_of_limit",
        "first_step_s",
        "device_bytes",
        "peak_resident_bytes",
        "version",
    ];
    assert_eq!(line.as_object().unwrap().len(), keys.len(), "{line}");
    for key in keys {
        assert!(line.get(key).is_some(), "{key}: {line}");
    }
    assert!(line["driver"].is_null() && line["first_step_s"].as_f64().unwrap() > 0.0, "{line}");
}

#[test]
fn no_line_is_printed_that_is_a_drivers() {
    let folder = tempfile::tempdir().unwrap();
    for session in [None, Some("")] {
        let mut command = vae_gpu(folder.path());
        command.arg("devices").env_remove("NODEVICE_SELECT").env_remove("MESA_VK_DEVICE_SELECT");
        match session {
            None => command.env_remove("XDG_RUNTIME_DIR"),
            Some(path) => command.env("XDG_RUNTIME_DIR", path),
        };
        command.assert().success().stderr("");
    }
}

#[test]
fn bench_takes_a_turn_for_each_line_of_input() {
    let lines = bench_told(&["--turns"], "\n\n");
    let (object, turns) = lines.split_last().unwrap();
    let mut seconds: Vec<f64> = turns.iter().map(|line| line.as_f64().unwrap()).collect();
    seconds.sort_by(f64::total_cmp);
    // One that was not asked for, and two.
    assert_eq!(seconds.len(), 3);
    assert_eq!(object["ms_per_step"].as_f64().unwrap(), 1e3 * seconds[1], "{lines:?}");
}

#[test]
fn bench_times_every_dispatch() {
    let kernels = bench(&["--kernels"]);
    assert_eq!(kernels.iter().filter(|line| line["op"] == "matmul").count(), 11);
    assert!(kernels.iter().all(|line| line["gflops"].is_number() == (line["op"] == "matmul")), "{kernels:?}");
    assert!(kernels.iter().all(|line| line["ms"].is_number() && line["gb_per_s"].is_number()), "{kernels:?}");
}

#[test]
fn bench_times_every_algorithm_on_a_product() {
    let folder = tempfile::tempdir().unwrap();
    let product = |size: &str| {
        let args = ["bench", "--device", "cpu", "--seconds", "0.5", "--json", "--product", size];
        vae_gpu(folder.path()).args(args).assert()
    };
    let output = product("33x20x7").success().get_output().stdout.clone();
    let speed: serde_json::Value = serde_json::from_slice(&output).unwrap();
    assert_eq!((&speed["variant"], &speed["product"]), (&"panels".into(), &serde_json::json!([33, 20, 7])));
    for wrong in ["33x20", "0x1x1", "1x1x1x1", "70000x1x1", "axbxc"] {
        product(wrong).code(2).stderr(predicate::str::contains("three sizes of 1 to 65536"));
    }
}

#[test]
fn what_cannot_be_tuned_or_written_is_named_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| vae_gpu(folder.path()).args(["bench"]).args(args).assert().code(2);
    run(&["--tune", "--device", "cpu", "--profile", "mine.toml"]).stderr(predicate::str::contains("nothing to tune"));
    run(&["--tune", "--device", "cpu"]).stderr(predicate::str::contains("VAE_GPU_PROFILE is none"));
    run(&["--profile", "mine.toml"]).stderr(predicate::str::contains("--tune"));
    run(&["--preset", "burda-vae"]).stderr(predicate::str::contains("--tune"));
    let tune = ["--tune", "--device", "cpu", "--profile", "mine.toml"];
    run(&[&tune[..], &["--preset", "burda-vae", "--run", "runs/one"]].concat())
        .stderr(predicate::str::contains("cannot be used with"));
    run(&[&tune[..], &["--run", "runs/one"]].concat()).stderr(predicate::str::contains("runs/one"));
    let missing =
        vae_gpu(folder.path()).args(["bench", "--tune", "--device", "cpu", "--profile", "no/mine.toml"]).assert();
    missing.code(1).stderr(predicate::str::contains("no/mine.toml"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
