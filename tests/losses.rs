//! Reconstruction losses against numbers of mpmath (1.3, with 40 digits or more), where forms cancel, overflow or vanish: in f64, in
//! f32, and on a GPU; and runs with them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{Check, Tolerance, a_step, gpu};
use assert_cmd::Command;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use vae_gpu::backend::Device;
use vae_gpu::backend::cpu::{Cpu, interpret};
use vae_gpu::backend::gpu::GpuOptions;
use vae_gpu::graph::{Graph, NodeId, ParameterLayout};
use vae_gpu::ops::{
    ContinuousBernoulli, ContinuousBernoulliGradient, ContinuousBernoulliMean, DiscretisedLogistic,
    DiscretisedLogisticGradient, DiscretisedLogisticSlope, Op,
};
use vae_gpu::plan::{Options, compile};
use vae_gpu::tensor::Shape;

/// The op on inputs of so many rows of one value: in f64 the numbers wanted to 12 digits, and in f32 on the CPU and on a GPU to its
/// rounding, which `size`, the largest number on the way, scales.
fn check(op: impl Into<Op>, inputs: &[&[f64]], wanted: &[f64], size: f64) {
    let (op, mut graph) = (op.into(), Graph::new(ParameterLayout::default()));
    let values: HashMap<String, Vec<f64>> =
        inputs.iter().enumerate().map(|(at, list)| (format!("in{at}"), list.to_vec())).collect();
    let ids: Vec<NodeId> = inputs
        .iter()
        .enumerate()
        .map(|(at, list)| graph.input(&format!("in{at}"), Shape::new(list.len(), 1)))
        .collect();
    let value = graph.apply(op.clone(), &ids).unwrap();
    graph.output("out", value);
    let exact = interpret::<f64>(&graph, &a_step(wanted.len()), &[], &[], &values).unwrap().pop().unwrap();
    Tolerance { relative: 1e-12, absolute: 1e-12 * size }.check(op.name(), &exact, wanted);
    let adapter = gpu(GpuOptions::default());
    let devices = [Some(&Cpu::<f32>::new() as &dyn Device), adapter.as_ref().map(|gpu| gpu as &dyn Device)];
    for device in devices.into_iter().flatten() {
        let mut session = device.session(graph.layout(), &[]).unwrap();
        let program = session.load(compile(&graph, Options::default()).unwrap()).unwrap();
        for (name, list) in &values {
            let list: Vec<f32> = list.iter().map(|&value| value as f32).collect();
            session.write_input(program, name, &list).unwrap();
        }
        session.run(&[program], &[a_step(wanted.len())]).unwrap();
        let got: Vec<f64> = session.read_output(program, "out").unwrap().into_iter().map(f64::from).collect();
        let Tolerance { relative, absolute } = Tolerance::rounding(1);
        let tolerance = Tolerance { relative, absolute: absolute * size };
        tolerance.check(&format!("{} on {}", op.name(), device.name()), &got, wanted);
    }
}

#[test]
fn the_continuous_bernoulli_is_that_of_its_formula() {
    // A logit l, `softplus(l) - l x - log(l / tanh(l / 2))` at x = 0, 1/4 and 1, and the mean, `exp(l) / (exp(l) - 1) - 1 / l`.
    let table = [
        (0.0, [0.0, 0.0, 0.0], 0.5),
        (1e-4, [5.000041666666663e-5, 2.500041666666663e-5, -4.9999583333333365e-5], 0.500008333333332),
        (-1e-4, [-4.9999583333333365e-5, -2.4999583333333367e-5, 5.000041666666663e-5], 0.49999166666666806),
        (0.1, [0.050416631949954875, 0.025416631949954874, -0.049583368050045123], 0.5083319447750496),
        (-0.1, [-0.049583368050045123, -0.024583368050045126, 0.050416631949954875], 0.4916680552249504),
        (0.49, [0.25498422594051023, 0.13248422594051024, -0.23501577405948976], 0.5406708604825053),
        (0.51, [0.26581410622956, 0.13831410622955997, -0.24418589377044003], 0.5423168960858592),
        (-3.0, [-1.1496814696108113, -0.3996814696108113, 1.8503185303891887], 0.2809376368420774),
        (20.0, [17.004267724384857, 12.004267724384855, -2.9957322756151448], 0.9500000020611536),
        (-20.0, [-2.9957322756151448, 2.0042677243848552, 17.004267724384857], 0.04999999793884637),
        (80.0, [75.61797336532612, 55.617973365326115, -4.382026634673881], 0.9875),
        (-80.0, [-4.382026634673881, 15.617973365326119, 75.61797336532612], 0.0125),
    ];
    let (logits, means) = (table.map(|row| row.0), table.map(|row| row.2));
    check(ContinuousBernoulliMean, &[&logits], &means, 1.0);
    for (at, x) in [0.0, 0.25, 1.0].into_iter().enumerate() {
        let targets = [x; 12];
        // max(l, 0) and l x are as large as the logit.
        check(ContinuousBernoulli, &[&logits, &targets], &table.map(|row| row.1[at]), 80.0);
        check(ContinuousBernoulli, &[&logits[..8], &targets[..8]], &table.map(|row| row.1[at])[..8], 1.0);
        check(ContinuousBernoulliGradient, &[&logits, &targets, &[2.0; 12]], &means.map(|mean| 2.0 * (mean - x)), 1.0);
    }
}

#[test]
fn the_discretised_logistic_is_that_of_its_formula() {
    // Level, mean, log-scale; `-log(cdf(b) - cdf(a))` and its derivatives by mean and by log-scale.
    let table: [(f64, f64, f64, [f64; 3]); 10] = [
        (0.0, 0.1, -2.0, [1.119567277416655, 4.977112916012652, -0.4879522466679071]),
        (0.0, 1.0, -4.0, [54.491094837000816, 54.598150033144236, -54.491094837000816]),
        (1.0, 0.004, -7.0, [0.23466034435798994, 17.63395183108441, 0.507490033456728]),
        (128.0, 0.5, -2.0, [4.927627873567822, -0.05352385302177627, 0.9998600722744425]),
        (128.0, 0.5, 3.0, [9.927557909454983, -2.430149185090384e-6, 0.9999999936466688]),
        (128.0, 0.01, -5.0, [73.5406432275842, -148.4131591025766, -71.98538404461647]),
        (254.0, 1.5, -6.0, [202.73553682288778, 403.4287934927351, -202.096103766756]),
        (255.0, 0.9, -3.0, [2.099823578222791, -17.625499846199233, -1.727990180999925]),
        (255.0, 0.2, -4.5, [71.83720086139682, -90.01713130052181, -71.83720086139682]),
        (200.0, 0.3, -1.0, [6.332759375892535, -1.568979449155576, 0.24012171524711745]),
    ];
    for (level, mean, logscale, [loss, d_mean, d_logscale]) in table {
        let inputs: [&[f64]; 3] = [&[mean], &[level / 255.0], &[logscale]];
        // x - y is rounded before it is divided by the scale.
        let (precision, far) = ((-logscale).exp(), loss.max(1.0));
        check(DiscretisedLogistic, &inputs, &[loss], precision.max(far));
        check(DiscretisedLogisticSlope, &inputs, &[d_logscale], precision.max(far));
        let inputs = [&inputs[..], &[&[0.5]]].concat();
        check(DiscretisedLogisticGradient, &inputs, &[0.5 * d_mean], precision * precision.max(1.0));
    }
}

#[test]
fn the_levels_of_a_byte_have_a_probability_of_one() {
    for (mean, logscale) in [(0.3, -1.0), (1.2, 0.5), (0.999, -6.0), (0.5, -9.0)] {
        let levels: Vec<f64> = (0..256).map(|level| f64::from(level) / 255.0).collect();
        let mut graph = Graph::new(ParameterLayout::default());
        let shapes = [Shape::new(256, 1), Shape::new(256, 1), Shape::SCALAR];
        let ids: Vec<NodeId> =
            shapes.iter().enumerate().map(|(at, shape)| graph.input(&format!("in{at}"), *shape)).collect();
        graph.apply(DiscretisedLogistic.into(), &ids).unwrap();
        let values = [vec![mean; 256], levels, vec![logscale]];
        let values = values.into_iter().enumerate().map(|(at, list)| (format!("in{at}"), list)).collect();
        let losses = interpret::<f64>(&graph, &a_step(256), &[], &[], &values).unwrap().pop().unwrap();
        let sum: f64 = losses.iter().map(|loss| (-loss).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{mean}, {logscale}: {sum}");
    }
}

/// Grey images of 4x4, 64 of them, as an array of bytes.
fn images(path: &Path) {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (64, 4, 4), }";
    let header = format!("{header:<117}\n");
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend((0..64 * 16_u32).map(|at| ((at / 16) * 3 + (at % 16) * 9) as u8));
    fs::write(path, bytes).unwrap();
}

/// What a command prints in this folder.
fn printed(folder: &Path, args: &[&str]) -> String {
    let mut command = Command::cargo_bin("vae-gpu").unwrap();
    let command = command.current_dir(folder).env("VAE_GPU_PROFILE", "none").args(args).args(["--device", "cpu"]);
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

#[test]
fn runs_resume_to_the_same_bytes_and_are_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    images(&root.join("images.npy"));
    let small = ["--data", "images.npy", "--hidden", "8", "--latent", "2", "--batch-size", "16", "--bias-from-mean"];
    for loss in ["bce", "continuous-bernoulli", "discretised-logistic"] {
        let train = |out: &str, epochs: &str| {
            let run = ["train", "--quiet", "--loss", loss, "--out", out, "--epochs", epochs];
            printed(root, &[&run[..], &small[..]].concat());
        };
        let [whole, parts] = ["whole", "parts"].map(|name| format!("{loss}-{name}"));
        train(&whole, "4");
        train(&parts, "2");
        printed(root, &["train", "--quiet", "--resume", &parts, "--epochs", "4"]);
        let last = |run: &str| fs::read(root.join(run).join("checkpoints/last.safetensors")).unwrap();
        assert!(last(&whole) == last(&parts), "{loss}");

        let levels = loss == "discretised-logistic";
        for (samples, of) in [("20", "log_likelihood"), ("0", "elbo")] {
            let json = printed(root, &["eval", &whole, "--samples", samples, "--json", "-"]);
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            let (bits, nats) = (json["bits_per_dimension"].as_f64(), json[of].as_f64().unwrap());
            assert_eq!(bits.is_some(), levels, "{loss}: {json}");
            if let Some(bits) = bits {
                assert!((bits * 16.0 * std::f64::consts::LN_2 + nats).abs() < 1e-9, "{json}");
                // No better than chance after 16 steps, and no worse than twice that.
                assert!(bits > 4.0 && bits < 16.0, "{json}");
            }
        }
        assert_eq!(printed(root, &["eval", &whole, "--samples", "0"]).contains("bits/dimension"), levels, "{loss}");
    }
}
