//! A gradient differentiated again: the squared Jacobian of a network, as the contractive penalty takes it, against
//! finite differences in f64, and its plan, fused and unfused, on the CPU and on a GPU, against the bare graph.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{Check, Tolerance, a_step, gpu};
use std::collections::HashMap;
use vae_gpu::backend::cpu::{CpuSession, interpret};
use vae_gpu::backend::gpu::GpuOptions;
use vae_gpu::backend::{Device, Session};
use vae_gpu::graph::{Graph, NodeId, ParameterLayout, differentiate};
use vae_gpu::ops::*;
use vae_gpu::plan::{Fusion, Options, compile};
use vae_gpu::rng::{Draw, Stream};
use vae_gpu::tensor::Shape;

const BATCH: usize = 3;
const FEATURES: usize = 5;
const HIDDEN: usize = 4;
const CODE: usize = 3;

const WEIGHTS: [(&str, [usize; 2]); 4] =
    [("w1", [HIDDEN, FEATURES]), ("b1", [1, HIDDEN]), ("w2", [CODE, HIDDEN]), ("b2", [1, CODE])];

/// The graph, its Jacobian `[BATCH CODE, FEATURES]`, the penalty and the penalty's gradients, in the order of `WEIGHTS`.
struct Penalty {
    graph: Graph,
    jacobian: NodeId,
    value: NodeId,
    gradients: Vec<NodeId>,
}

/// The mean over the batch of `||d h / d x||^2` where `h = a(a(x w1^T + b1) w2^T + b2)`.
fn penalty(activation: Activation) -> Penalty {
    let mut g = Graph::new(ParameterLayout::default());
    let x = g.input("x", Shape::new(BATCH, FEATURES));
    let weights = WEIGHTS
        .map(|(name, [rows, cols])| g.input(name, if rows == 1 { Shape::of([cols]) } else { Shape::new(rows, cols) }));
    let repeated = g.apply(RepeatInterleave { count: CODE }.into(), &[x]).unwrap(); // [batch code, features]
    let product = g.matmul(repeated, weights[0], Transpose::B).unwrap();
    let hidden = g.bias_activation(product, weights[1], activation).unwrap(); // [batch code, hidden]
    let product = g.matmul(hidden, weights[2], Transpose::B).unwrap();
    let code = g.bias_activation(product, weights[3], activation).unwrap(); // [batch code, code]
    let seed = g.apply(OneHotRows { count: CODE, groups: BATCH }.into(), &[]).unwrap(); // [batch code, code]
    let jacobian = differentiate(&mut g, code, seed, &[repeated]).unwrap()[0]; // [batch code, features]
    let norms = g.apply(PowerSum { norm: Norm::L2 }.into(), &[jacobian]).unwrap(); // [batch code, 1]
    let norms = g.apply(SegmentSum { count: CODE }.into(), &[norms]).unwrap(); // [batch, 1]
    let value = g.apply(BatchMean.into(), &[norms]).unwrap(); // [1, 1]
    let one = g.apply(Constant::new(1.0, Shape::SCALAR).into(), &[]).unwrap();
    let gradients = differentiate(&mut g, value, one, &weights).unwrap();
    g.output("value", value);
    for ((name, _), &gradient) in WEIGHTS.iter().zip(&gradients) {
        g.output(&format!("d_{name}"), gradient);
    }
    Penalty { graph: g, jacobian, value, gradients }
}

fn values() -> HashMap<String, Vec<f64>> {
    let draw = Draw { seed: 5, stream: Stream::Synthetic, step: 0 };
    let all = [("x", [BATCH, FEATURES])].into_iter().chain(WEIGHTS).enumerate();
    all.map(|(i, (name, [rows, cols]))| {
        let list = (0..(rows * cols) as u32).map(|e| f64::from(draw.normal(i as u32, e)));
        (name.to_owned(), list.collect())
    })
    .collect()
}

fn at(penalty: &Penalty, values: &HashMap<String, Vec<f64>>, id: NodeId) -> Vec<f64> {
    // Two of the three rows count.
    let all = interpret::<f64>(&penalty.graph, &a_step(2), &[], &[], values).unwrap();
    all[penalty.graph.ids().position(|other| other == id).unwrap()].clone()
}

/// `h` in plain f64, without a graph.
fn code(activation: Activation, values: &HashMap<String, Vec<f64>>, x: &[f64]) -> Vec<f64> {
    let layer = |x: &[f64], weight: &str, bias: &str| -> Vec<f64> {
        let rows = values[weight].chunks(x.len()).zip(&values[bias]);
        rows.map(|(w, b)| activation.value(w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + b)).collect()
    };
    layer(&layer(x, "w1", "b1"), "w2", "b2")
}

const SMOOTH: [Activation; 5] =
    [Activation::Tanh, Activation::Sigmoid, Activation::Softplus, Activation::Silu, Activation::Gelu];

#[test]
fn repeated_rows_and_unit_seeds_give_the_jacobian() {
    for activation in SMOOTH {
        let (penalty, values, h) = (penalty(activation), values(), 1e-6);
        let jacobian = at(&penalty, &values, penalty.jacobian);
        for example in 0..BATCH {
            for feature in 0..FEATURES {
                let [up, down] = [h, -h].map(|by| {
                    let mut x = values["x"][example * FEATURES..][..FEATURES].to_vec();
                    x[feature] += by;
                    code(activation, &values, &x)
                });
                for output in 0..CODE {
                    let got = jacobian[(example * CODE + output) * FEATURES + feature];
                    let what = format!("{activation:?}: d h[{example}, {output}] / d x[{feature}]");
                    let difference = (up[output] - down[output]) / (2.0 * h);
                    Tolerance { relative: 1e-6, absolute: 1e-9 }.check(&what, &[got], &[difference]);
                }
            }
        }
    }
}

#[test]
fn a_squared_jacobian_is_differentiated_again() {
    for activation in SMOOTH {
        let (penalty, values, h) = (penalty(activation), values(), 1e-5);
        for ((name, _), &gradient) in WEIGHTS.iter().zip(&penalty.gradients) {
            let gradient = at(&penalty, &values, gradient);
            let differences: Vec<f64> = (0..gradient.len())
                .map(|e| {
                    let [up, down] = [h, -h].map(|by| {
                        let mut moved = values.clone();
                        moved.get_mut(*name).unwrap()[e] += by;
                        at(&penalty, &moved, penalty.value)[0]
                    });
                    (up - down) / (2.0 * h)
                })
                .collect();
            assert!(differences.iter().any(|d| d.abs() > 1e-3), "{name}: there is something to compare");
            // Off by about h^2 of the third derivative, and 1e-16 / h of the value.
            let what = format!("{activation:?}: d penalty / d {name}");
            Tolerance { relative: 1e-7, absolute: 1e-8 }.check(&what, &gradient, &differences);
        }
    }
}

/// The plan's outputs on this session, against the bare graph's.
fn check_plan(penalty: &Penalty, session: &mut dyn Session, fuse: Fusion, tolerance: Tolerance) {
    let values = values();
    let program = session.load(compile(&penalty.graph, Options::new(fuse)).unwrap()).unwrap();
    for (name, list) in &values {
        let list: Vec<f32> = list.iter().map(|&value| value as f32).collect();
        session.write_input(program, name, &list).unwrap();
    }
    session.run(&[program], &[a_step(2)]).unwrap();
    for (name, id) in penalty.graph.outputs() {
        let got: Vec<f64> = session.read_output(program, name).unwrap().iter().map(|&value| f64::from(value)).collect();
        tolerance.check(name, &got, &at(penalty, &values, *id));
    }
}

#[test]
fn a_plan_of_it_computes_what_the_bare_graph_does() {
    for activation in SMOOTH {
        let penalty = penalty(activation);
        for fuse in [Fusion::None, Fusion::Epilogues, Fusion::All] {
            let mut session = CpuSession::<f64>::new(penalty.graph.layout(), &[]);
            // What is read back is f32.
            check_plan(&penalty, &mut session, fuse, Tolerance { relative: 1e-6, absolute: 1e-7 });
        }
    }
}

#[test]
fn a_gpu_computes_what_the_bare_graph_does() {
    let Some(device) = gpu(GpuOptions { checks: true, ..GpuOptions::default() }) else { return };
    for activation in SMOOTH {
        let penalty = penalty(activation);
        for fuse in [Fusion::None, Fusion::Epilogues, Fusion::All] {
            let mut session = device.session(penalty.graph.layout(), &[]).unwrap();
            // Sums of at most 5 terms, ten products deep.
            check_plan(&penalty, session.as_mut(), fuse, Tolerance::rounding(64));
        }
    }
}

#[test]
fn a_piecewise_linear_slope_does_not_change() {
    let mut g = Graph::new(ParameterLayout::default());
    let [y, d_y] = ["y", "d_y"].map(|name| g.input(name, Shape::new(2, 2)));
    let gradient = g.apply(ActivationGradient { activation: Activation::Relu }.into(), &[y, d_y]).unwrap();
    let seed = g.input("seed", Shape::new(2, 2));
    assert!(differentiate(&mut g, gradient, seed, &[d_y]).is_ok());
    assert!(differentiate(&mut g, gradient, seed, &[y]).unwrap_err().to_string().contains("does not reach"));
}
