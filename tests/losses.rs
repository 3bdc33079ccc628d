//! Reconstruction losses against numbers of mpmath (1.3, 40 digits), where forms cancel, overflow or vanish: in f64, in f32, and on
//! a GPU.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{Check, Tolerance, a_step, gpu};
use std::collections::HashMap;
use vae_gpu::backend::Device;
use vae_gpu::backend::cpu::{Cpu, interpret};
use vae_gpu::backend::gpu::GpuOptions;
use vae_gpu::graph::{Graph, NodeId, ParameterLayout};
use vae_gpu::ops::{ContinuousBernoulli, ContinuousBernoulliGradient, ContinuousBernoulliMean, Op};
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
        (1e-4, [5.0000416666666632e-5, 2.5000416666666632e-5, -4.9999583333333368e-5], 0.50000833333333194),
        (-1e-4, [-4.9999583333333368e-5, -2.4999583333333368e-5, 5.0000416666666632e-5], 0.49999166666666806),
        (0.1, [0.050416631949954875, 0.025416631949954875, -0.049583368050045125], 0.50833194477504962),
        (-0.1, [-0.049583368050045125, -0.024583368050045125, 0.050416631949954875], 0.49166805522495038),
        (0.49, [0.25498422594051023, 0.13248422594051023, -0.23501577405948977], 0.54067086048250532),
        (0.51, [0.26581410622955998, 0.13831410622955998, -0.24418589377044002], 0.54231689608585919),
        (-3.0, [-1.1496814696108113, -0.39968146961081128, 1.8503185303891887], 0.28093763684207738),
        (20.0, [17.004267724384855, 12.004267724384855, -2.9957322756151446], 0.95000000206115363),
        (-20.0, [-2.9957322756151446, 2.0042677243848554, 17.004267724384855], 0.049999997938846373),
        (80.0, [75.617973365326118, 55.617973365326118, -4.3820266346738816], 0.9875),
        (-80.0, [-4.3820266346738816, 15.617973365326118, 75.617973365326118], 0.0125),
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
