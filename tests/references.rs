//! Ops against numbers worked by hand, gradients against finite differences in f64, plans against bare graphs. Rungs 2,
//! 3 and 4 of the ladder; no adapter needed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Tolerance, a_step, bytes, inputs};
use std::collections::HashMap;
use vae_gpu::backend::cpu::{CpuSession, interpret};
use vae_gpu::backend::{Data, Session};
use vae_gpu::graph::{Graph, NodeId, ParameterLayout, Shape, differentiate};
use vae_gpu::models::{Loss, ModelConfig, Vae};
use vae_gpu::ops::*;
use vae_gpu::plan::{Arena, Options, compile};

/// The op on these inputs (f64), one value list an input.
fn run(op: impl Into<Op>, inputs: &[([usize; 2], &[f64])]) -> Vec<f64> {
    let mut graph = Graph::new(ParameterLayout::default());
    let mut values = HashMap::new();
    let ids: Vec<NodeId> = inputs
        .iter()
        .enumerate()
        .map(|(i, &([rows, cols], list))| {
            values.insert(format!("in{i}"), list.to_vec());
            graph.input(&format!("in{i}"), Shape::new(rows, cols))
        })
        .collect();
    graph.apply(op.into(), &ids).unwrap();
    interpret::<f64>(&graph, &a_step(2), &[], &[], &values).unwrap().pop().unwrap()
}

fn close(got: &[f64], wanted: &[f64]) {
    Tolerance { relative: 1e-12, absolute: 1e-12 }.check("by hand", got, wanted);
}

#[test]
fn references_give_numbers_worked_by_hand() {
    let a: ([usize; 2], &[f64]) = ([2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let b: ([usize; 2], &[f64]) = ([3, 2], &[1.0, 0.0, -1.0, 2.0, 0.5, 1.0]);
    let b_t: ([usize; 2], &[f64]) = ([2, 3], &[1.0, -1.0, 0.5, 0.0, 2.0, 1.0]);
    let a_t: ([usize; 2], &[f64]) = ([3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    let product = [0.5, 7.0, 2.0, 16.0];
    close(&run(Matmul::new(Transpose::Neither), &[a, b]), &product);
    close(&run(Matmul::new(Transpose::Right), &[a, b_t]), &product);
    close(&run(Matmul::new(Transpose::Left), &[a_t, b]), &product);
    close(&run(SumRows, &[a]), &[5.0, 7.0, 9.0]);
    let x: ([usize; 2], &[f64]) = ([1, 2], &[-2.0, 1.0]);
    let bias: ([usize; 2], &[f64]) = ([1, 2], &[1.0, 1.0]);
    // tanh, sigmoid and softplus at -1 and 2, from a table of 15 digits.
    let table = [
        (Activation::Identity, [-1.0, 2.0]),
        (Activation::Relu, [0.0, 2.0]),
        (Activation::LeakyRelu, [-0.01, 2.0]),
        (Activation::Tanh, [-0.761594155955765, 0.964027580075817]),
        (Activation::Sigmoid, [0.268941421369995, 0.880797077977882]),
        (Activation::Softplus, [0.313261687518223, 2.126928011042973]),
    ];
    for (activation, wanted) in table {
        close(&run(BiasActivation { activation }, &[x, bias]), &wanted);
    }
    // KL of N(1, 1) is 1/2; of N(0, e) it is (e - 2) / 2.
    close(&run(Kl, &[([2, 2], &[1.0, 0.0, 0.0, 1.0])]), &[0.5, 0.359140914229523]);
    // BCE at logit 0 is log 2 whatever the target; at logit 100 and target 0 it is 100, at -100 and 1 likewise.
    let targets: ([usize; 2], &[f64]) = ([3, 1], &[0.3, 0.0, 1.0]);
    close(&run(BceLogits, &[([3, 1], &[0.0, 100.0, -100.0]), targets]), &[std::f64::consts::LN_2, 100.0, 100.0]);
    close(&run(SquaredError, &[([1, 2], &[1.0, 3.0]), ([1, 2], &[0.0, 1.0])]), &[5.0]);
    // Two rows count (a_step(2)), the third does not.
    close(&run(BatchMean, &[([3, 1], &[1.0, 2.0, 100.0])]), &[1.5]);
    close(&run(BatchMeanGradient { batch: 3 }, &[([1, 1], &[1.0])]), &[0.5, 0.5, 0.0]);
    close(&run(AddScaled { factor: Factor::Beta }, &[x, bias]), &[-1.375, 1.625]);
    close(&run(SliceColumns { start: 1, count: 2 }, &[a]), &[2.0, 3.0, 5.0, 6.0]);
    // Adam's first step moves each parameter by the rate against its gradient's sign (epsilon aside).
    let (step_size, second_scale) = Adam::default().schedule(0.1, 1);
    close(&[step_size, second_scale], &[1.0, 1.0 / 0.001_f64.sqrt()]);
}

#[test]
fn gradients_agree_with_finite_differences() {
    let mut checked = 0;
    for case in Op::cases() {
        let size: usize = case.inputs.iter().map(|(shape, _)| shape.len()).sum();
        if size > 20_000 || case.inputs.iter().any(|(_, fill)| *fill == Fill::Bytes) {
            continue;
        }
        for target in 0..case.inputs.len() {
            let (mut graph, ids, output) = case.graph().unwrap();
            let seed = graph.input("seed", graph.shape(output));
            let Ok(gradients) = differentiate(&mut graph, output, seed, &[ids[target]]) else { continue };
            let mut values = inputs(&case);
            let weights: Vec<f64> = (0..graph.shape(output).len()).map(|i| (1.7 * i as f64 + 0.3).sin()).collect();
            values.insert("seed".to_owned(), weights.clone());
            let step = a_step(case.inputs[0].0.rows.div_ceil(2));
            let at = |values: &HashMap<String, Vec<f64>>| interpret::<f64>(&graph, &step, &[], &[], values).unwrap();
            let index = |id: NodeId| graph.ids().position(|other| other == id).unwrap();
            let gradient = at(&values)[index(gradients[0])].clone();
            let name = format!("in{target}");
            let len = values[&name].len();
            // A few elements of each, the first and the last among them.
            for e in [0, len / 3, len / 2, len - 1] {
                let h = 1e-6;
                let mut moved = [values.clone(), values.clone()];
                moved[0].get_mut(&name).unwrap()[e] += h;
                moved[1].get_mut(&name).unwrap()[e] -= h;
                let [up, down] = moved.map(|values| at(&values)[index(output)].clone());
                let terms = up.iter().zip(&down).zip(&weights);
                let difference: f64 = terms.map(|((up, down), weight)| (up - down) * weight).sum::<f64>() / (2.0 * h);
                // A central difference of step 1e-6 is off by about 1e-16 / 1e-6 of the sums involved.
                let what = format!("{case}: input {target}, element {e}");
                Tolerance { relative: 1e-6, absolute: 2e-7 }.check(&what, &[gradient[e]], &[difference]);
                checked += 1;
            }
        }
    }
    assert!(checked > 200, "only {checked} derivatives were checked");
}

#[test]
fn ops_without_a_gradient_say_so() {
    let (mut graph, ids, output) =
        Case::new(KlGradient, 1, &[([2, 4], Fill::Normal), ([2, 1], Fill::Normal)]).graph().unwrap();
    let seed = graph.input("seed", Shape::new(2, 4));
    let error = differentiate(&mut graph, output, seed, &ids).unwrap_err().to_string();
    assert!(error.contains("kl_gradient has no gradient"), "{error}");
}

#[test]
fn shapes_that_do_not_fit_are_named() {
    let mut graph = Graph::new(ParameterLayout::default());
    let (a, b) = (graph.input("a", Shape::new(64, 784)), graph.input("b", Shape::new(400, 784)));
    let error = graph.matmul(a, b, Transpose::Neither).unwrap_err().to_string();
    assert_eq!(error, "matmul: left is [64, 784], right is [400, 784]: left columns must equal right rows");
}

fn small(loss: Loss) -> Vae {
    let activation = Activation::Tanh;
    Vae::new(ModelConfig { features: 12, hidden: vec![7, 5], latent: 3, activation, loss }).unwrap()
}

#[test]
fn a_plan_computes_what_its_bare_graph_does_fused_and_unfused() {
    for loss in [Loss::Bce, Loss::Mse] {
        let vae = small(loss);
        let graph = vae.training(0, 9, 4, Pixels::Grey, Adam::default()).unwrap();
        let bytes: Vec<u8> = (0..108).map(|i| (i * 37 % 256) as u8).collect();
        let data = [Data { shape: Shape::new(9, 12), bytes: &bytes }];
        let parameters: Vec<f64> = vae.layout().initial(5).into_iter().map(f64::from).collect();
        let values = interpret::<f64>(&graph, &a_step(3), &parameters, &data, &HashMap::new()).unwrap();
        for fuse in [false, true] {
            let mut session = CpuSession::<f64>::new(vae.layout(), &data);
            session.write_arena(Arena::Parameters, &vae.layout().initial(5)).unwrap();
            let program = session.load(compile(&graph, Options { fuse }).unwrap()).unwrap();
            session.run(program, &[a_step(3)]).unwrap();
            for (id, node) in graph.gradients() {
                let parameter = vae.layout().get(*id);
                let planned = &session.arena(Arena::Gradients)[parameter.offset..][..parameter.shape.len()];
                let bare = &values[graph.ids().position(|other| other == *node).unwrap()];
                Tolerance { relative: 1e-12, absolute: 1e-14 }.check(&parameter.name, planned, bare);
            }
        }
    }
}

#[test]
fn fusion_removes_dispatches() {
    let graph = small(Loss::Bce).training(0, 9, 4, Pixels::Grey, Adam::default()).unwrap();
    let [fused, unfused] = [true, false].map(|fuse| compile(&graph, Options { fuse }).unwrap());
    // One less for each of six layers, and for the activation gradient of each of four hidden ones.
    assert_eq!(unfused.dispatches.len() - fused.dispatches.len(), 10, "{unfused}\n{fused}");
}

#[test]
fn cases_have_bytes_where_they_read_them() {
    for case in Op::cases().iter().filter(|case| case.op.name() == "gather") {
        assert_eq!(bytes(case).len(), case.inputs[0].0.len());
    }
}

#[test]
fn the_default_training_plan_is_the_recorded_one() {
    let (hidden, activation) = (vec![400], Activation::Relu);
    let vae = Vae::new(ModelConfig { features: 784, hidden, latent: 20, activation, loss: Loss::Bce }).unwrap();
    let graph = vae.training(0, 60_000, 128, Pixels::Grey, Adam::default()).unwrap();
    insta::assert_snapshot!(compile(&graph, Options::default()).unwrap());
}
