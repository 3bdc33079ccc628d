//! Ops against numbers worked by hand, gradients against finite differences in f64, plans against bare graphs. Rungs 2,
//! 3 and 4 of the ladder; no adapter needed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{Check, Tolerance, a_step, dataset, inputs};
use std::collections::{HashMap, HashSet};
use vae_gpu::backend::cpu::{CpuSession, interpret};
use vae_gpu::backend::{Data, Session, Values};
use vae_gpu::graph::{Graph, NodeId, ParameterLayout, differentiate};
use vae_gpu::models::{Batches, Layer, Model, ModelConfig};
use vae_gpu::ops::*;
use vae_gpu::plan::{Fusion, Options, compile};
use vae_gpu::tensor::{DType, Shape};

/// The op on these inputs (f64), one value list an input.
pub(crate) fn run<S: Copy + Into<Shape>>(op: impl Into<Op>, inputs: &[(S, &[f64])]) -> Vec<f64> {
    let mut graph = Graph::new(ParameterLayout::default());
    let mut values = HashMap::new();
    let ids: Vec<NodeId> = inputs
        .iter()
        .enumerate()
        .map(|(i, &(shape, list))| {
            values.insert(format!("in{i}"), list.to_vec());
            graph.input(&format!("in{i}"), shape.into())
        })
        .collect();
    graph.apply(op.into(), &ids).unwrap();
    interpret::<f64>(&graph, &a_step(2), &[], &[], &values).unwrap().pop().unwrap()
}

pub(crate) fn close(got: &[f64], wanted: &[f64]) {
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
    close(&run(Matmul::new(Transpose::B), &[a, b_t]), &product);
    close(&run(Matmul::new(Transpose::A), &[a_t, b]), &product);
    close(&run(SumRows, &[a]), &[5.0, 7.0, 9.0]);
    let x: ([usize; 2], &[f64]) = ([1, 2], &[-2.0, 1.0]);
    let ones: ([usize; 2], &[f64]) = ([1, 2], &[1.0, 1.0]);
    let [x_of, bias] = [(Shape::new(1, 2), x.1), (Shape::of([2]), ones.1)];
    // tanh, sigmoid, softplus, x sigmoid and x Phi at -1 and 2, from tables of 15 digits.
    let table = [
        (Activation::Identity, [-1.0, 2.0]),
        (Activation::Relu, [0.0, 2.0]),
        (Activation::LeakyRelu, [-0.01, 2.0]),
        (Activation::Tanh, [-0.761594155955765, 0.964027580075817]),
        (Activation::Sigmoid, [0.268941421369995, 0.880797077977882]),
        (Activation::Softplus, [0.313261687518223, 2.126928011042973]),
        (Activation::Silu, [-0.268941421369995, 1.761594155955765]),
        (Activation::Gelu, [-0.158655253931457, 1.954499736103642]),
    ];
    for (activation, wanted) in table {
        close(&run(BiasActivation { activation }, &[x_of, bias]), &wanted);
        close(&run(Activate { activation }, &[([1, 1, 2], &[-1.0, 2.0])]), &wanted);
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
    close(&run(AddScaled { factor: Factor::Scalar("beta") }, &[x, ones]), &[-1.375, 1.625]);
    close(&run(Narrow { start: 1, count: 2 }, &[a]), &[2.0, 3.0, 5.0, 6.0]);
    close(&run(Weigh, &[x, ([1, 1], &[3.0_f64.ln()])]), &[-6.0, 3.0]);
    let given: ([usize; 2], &[f64]) = ([1, 2], &[8.0, 9.0]);
    close(&run(Concat, &[a, given]), &[1.0, 2.0, 3.0, 8.0, 9.0, 4.0, 5.0, 6.0, 8.0, 9.0]);
    // Of two variables, twice: the first may know none, the second the first; in the reverse order the other way round.
    let mask = AutoregressiveMask {
        inputs: Units::Variables(2, Direction::Forward),
        outputs: Units::Variables(2, Direction::Forward),
    };
    let four: ([usize; 2], &[f64]) = ([4, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    close(&run(mask, &[four]), &[0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 7.0, 0.0]);
    let backward = AutoregressiveMask {
        inputs: Units::Variables(2, Direction::Reverse),
        outputs: Units::Variables(2, Direction::Reverse),
    };
    close(&run(backward, &[four]), &[0.0, 2.0, 0.0, 0.0, 0.0, 6.0, 0.0, 0.0]);
    // Hidden units of three variables know one, two, one of them.
    let hidden = AutoregressiveMask { inputs: Units::Variables(3, Direction::Forward), outputs: Units::Hidden(3) };
    let nine: ([usize; 2], &[f64]) = ([3, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    close(&run(hidden, &[nine]), &[1.0, 0.0, 0.0, 4.0, 5.0, 0.0, 7.0, 0.0, 0.0]);
    // 7 under N(3, 4) lies two deviations above its mean.
    let deviates: [([usize; 2], &[f64]); 3] = [([1, 1], &[7.0]), ([1, 2], &[3.0, 4.0_f64.ln()]), ([1, 1], &[6.0])];
    close(&run(Whiten, &deviates[..2]), &[2.0]);
    close(&run(WhitenGradient, &deviates), &[-3.0, -6.0]);
    // Against N(1, 4) and N(0, 1) at z = 3: (1 + ln 4 - 9) / 2, and 0 as the prior is that.
    let (z, components): (_, ([usize; 2], &[f64])) = (([1, 1], &[3.0][..]), ([2, 2], &[1.0, 4.0_f64.ln(), 0.0, 0.0]));
    close(&run(MixturePrior, &[z, components]), &[0.5 * (1.0 + 4.0_f64.ln() - 9.0), 0.0]);
    close(&run(RepeatInterleave { count: 2 }, &[a]), &[1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 4.0, 5.0, 6.0]);
    close(&run(SegmentSum { count: 2 }, &[([4, 1], &[1.0, 2.0, 30.0, 40.0])]), &[3.0, 70.0]);
    close(&run::<Shape>(OneHotRows { count: 2, groups: 2 }, &[]), &[1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0]);
    close(&run::<Shape>(Constant::new(0.1, Shape::new(2, 3)), &[]), &[0.1; 6]);
    close(&run(Heaviside, &[([1, 4], &[-1.0, 0.0, 1e-30, 7.0])]), &[0.0, 0.0, 1.0, 1.0]);
    let signs: ([usize; 2], &[f64]) = ([2, 3], &[-1.0, 0.0, 3.0, 0.5, -0.5, 2.0]);
    close(&run(PowerSum { norm: Norm::L1 }, &[signs]), &[4.0, 3.0]);
    close(&run(PowerSum { norm: Norm::L2 }, &[signs]), &[10.0, 4.5]);
    let d: ([usize; 2], &[f64]) = ([2, 1], &[2.0, -1.0]);
    close(&run(PowerSumGradient { norm: Norm::L1 }, &[signs, d]), &[-2.0, 0.0, 2.0, -1.0, 1.0, -1.0]);
    close(&run(PowerSumGradient { norm: Norm::L2 }, &[signs, d]), &[-4.0, 0.0, 12.0, -1.0, 1.0, -4.0]);
    // Adam's first step moves each parameter by the rate against its gradient's sign (epsilon aside).
    let [(_, step_size), (_, second_scale)] = Adam::default().corrected(0.1, 1);
    close(&[step_size, second_scale], &[1.0, 1.0 / 0.001_f64.sqrt()]);
}

#[test]
fn posteriors_and_bounds_give_numbers_worked_by_hand() {
    // softplus(ln(e - 1)) = 1, whose log is 0; at 0 it is ln 2; at -100 it is exp(-100), at 100 it is 100,
    // both to the last bit.
    let one = (std::f64::consts::E - 1.0).ln();
    let raw: ([usize; 2], &[f64]) = ([2, 4], &[7.0, 8.0, one, 0.0, 9.0, 10.0, -100.0, 100.0]);
    let log_ln_2 = -0.36651292058166435;
    let wanted = [7.0, 8.0, 0.0, 2.0 * log_ln_2, 9.0, 10.0, -200.0, 2.0 * 4.605170185988092];
    close(&run(SoftplusPosterior, &[raw]), &wanted);
    let d: ([usize; 2], &[f64]) = ([2, 4], &[1.0, 2.0, 1.0, 1.0, 3.0, 4.0, 0.5, 1.0]);
    // sigmoid / softplus is (e - 1) / e at the first, 1/2 / ln 2 at 0, 1 at -100 and 1/100 at 100.
    let factors = [2.0 * 0.6321205588285577, std::f64::consts::LN_2.recip(), 2.0, 0.02];
    let wanted = [1.0, 2.0, factors[0], factors[1], 3.0, 4.0, 0.5 * factors[2], factors[3]];
    close(&run(SoftplusPosteriorGradient, &[raw, d]), &wanted);

    // q = N(1, 1) at z = 1 against p: 1/2; q = N(0, 4) at 2: (4 - 4/4 - ln 4) / 2.
    let posterior: ([usize; 2], &[f64]) = ([1, 4], &[1.0, 0.0, 0.0, 4.0_f64.ln()]);
    let z: ([usize; 2], &[f64]) = ([1, 2], &[1.0, 2.0]);
    close(&run(MonteCarloKl, &[posterior, z]), &[0.5 + 1.5 - std::f64::consts::LN_2]);
    let d: ([usize; 2], &[f64]) = ([1, 1], &[2.0]);
    close(&run(MonteCarloKlPosteriorGradient, &[posterior, z, d]), &[0.0, 1.0, -1.0, 0.0]);
    close(&run(MonteCarloKlSampleGradient, &[posterior, z, d]), &[2.0, 3.0]);

    // Weights 1 and 3 have mean 2, also with 1000 added to their logarithms; a single weight is its own bound.
    let ln_3 = 3.0_f64.ln();
    let v: ([usize; 2], &[f64]) = ([4, 1], &[0.0, -ln_3, -1000.0, -1000.0 - ln_3]);
    close(&run(ImportanceBound { samples: 2 }, &[v]), &[-std::f64::consts::LN_2, -1000.0 - std::f64::consts::LN_2]);
    close(&run(ImportanceBound { samples: 1 }, &[v]), v.1);
    let d: ([usize; 2], &[f64]) = ([2, 1], &[1.0, -4.0]);
    close(&run(ImportanceBoundGradient { samples: 2 }, &[v, d]), &[0.25, 0.75, -1.0, -3.0]);
}

#[test]
fn free_bits_and_a_learned_variance_give_numbers_worked_by_hand() {
    // Two rows count: KLs 1/2 and 0 of the first dimension, 0 and (e - 2) / 2 of the second; the third row does not.
    let posterior: ([usize; 2], &[f64]) = ([3, 4], &[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 9.0, 9.0, 9.0, 9.0]);
    close(&run(KlColumns, &[posterior]), &[0.25, 0.1795704571147613]);
    let d: ([usize; 2], &[f64]) = ([1, 2], &[1.0, 2.0]);
    let half_e_1 = 0.8591409142295225; // (e - 1) / 2
    let wanted = [0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, half_e_1, 0.0, 0.0, 0.0, 0.0];
    close(&run(KlColumnsGradient, &[posterior, d]), &wanted);
    let x: ([usize; 2], &[f64]) = ([1, 3], &[0.1, 0.25, 2.0]);
    close(&run(FreeBits { floor: 0.25 }, &[x]), &[2.5]);
    close(&run(FreeBitsGradient { floor: 0.25 }, &[x, ([1, 1], &[3.0])]), &[0.0, 0.0, 3.0]);

    // Variance 4 and two features: s / 8 + ln 4 + ln 2 pi.
    let s: ([usize; 2], &[f64]) = ([2, 1], &[8.0, 0.0]);
    let logvar: ([usize; 2], &[f64]) = ([1, 1], &[4.0_f64.ln()]);
    let constant = 3.224171427529236;
    close(&run(Gaussian { features: 2 }, &[s, logvar]), &[1.0 + constant, constant]);
    let d: ([usize; 2], &[f64]) = ([2, 1], &[1.0, 3.0]);
    close(&run(GaussianErrorGradient, &[logvar, d]), &[0.125, 0.375]);
    close(&run(GaussianVarianceGradient { features: 2 }, &[s, logvar, d]), &[3.0]);
}

#[test]
fn corruption_adds_its_noise_or_masks() {
    use vae_gpu::rng::{Draw, Stream};
    let x: Vec<f64> = (0..2000).map(|i| f64::from(i) * 0.5 + 1.0).collect();
    let corrupted = |noise| run(Corrupt { noise, stream: Stream::Corruption }, &[([2, 1000], &x)]);
    let step = a_step(2);
    let draw = Draw { seed: step.seed, stream: Stream::Corruption, step: step.index };
    for (i, got) in corrupted(Noise::Gaussian { deviation: 0.25 }).iter().enumerate() {
        let eps = draw.normal(step.first + i as u32 / 1000, i as u32 % 1000);
        close(&[*got], &[x[i] + 0.25 * f64::from(eps)]);
    }
    let masked = corrupted(Noise::Mask { fraction: 0.25 });
    let zeros = masked.iter().filter(|y| **y == 0.0).count();
    assert!(masked.iter().zip(&x).all(|(y, x)| *y == 0.0 || y == x));
    // 500 expected; the deviation of a binomial of 2000 at 1/4 is 19.4.
    assert!((400..600).contains(&zeros), "{zeros} of 2000 are masked, wanted about 500");
    assert!(corrupted(Noise::Mask { fraction: 1.0 }).iter().all(|y| *y == 0.0));
    close(&corrupted(Noise::Mask { fraction: 0.0 }), &x);
    let mut graph = Graph::new(ParameterLayout::default());
    let input = graph.input("x", Shape::new(1, 1));
    let op = Corrupt { noise: Noise::Mask { fraction: 1.5 }, stream: Stream::Corruption };
    let error = graph.apply(op.into(), &[input]).unwrap_err().to_string();
    assert_eq!(error, "corrupt: fraction is 1.5: it must be from 0 to 1");
}

#[test]
fn curvatures_are_the_slopes_of_slopes() {
    // At y = 1/4, times d_y = 2 and g = 3: -2y, 1 - 2y and exp(-y), and nothing where pieces are straight. At x = 1/4, s being
    // its sigmoid: s (1 - s) (2 + x (1 - 2s)) and (2 - x^2) exp(-x^2 / 2) / sqrt(2 pi).
    let table = [
        (Activation::Identity, 0.0),
        (Activation::Relu, 0.0),
        (Activation::LeakyRelu, 0.0),
        (Activation::Tanh, -3.0),
        (Activation::Sigmoid, 3.0),
        (Activation::Softplus, 4.672804698428429),
        (Activation::Silu, 2.907697724811102),
        (Activation::Gelu, 4.495016857833124),
    ];
    for (activation, wanted) in table {
        let inputs: [([usize; 2], &[f64]); 3] = [([1, 1], &[0.25]), ([1, 1], &[2.0]), ([1, 1], &[3.0])];
        close(&run(ActivationCurvature { activation }, &inputs), &[wanted]);
    }
}

#[test]
fn slopes_of_activations_that_are_not_monotonic_are_of_their_arguments() {
    // s + x s (1 - s) and Phi + x phi at -3, -1, 1/2 and 2, from tables of 15 digits; d_y is 2.
    let table = [
        (Activation::Silu, [-0.088104106015170, 0.072329488128513, 0.739961187302652, 1.090784248784896]),
        (Activation::Gelu, [-0.011945647204184, -0.083315470587686, 0.867495124656163, 1.085231801078197]),
    ];
    for (activation, slopes) in table {
        assert!(activation.keeps_argument());
        let x: ([usize; 2], &[f64]) = ([1, 4], &[-3.0, -1.0, 0.5, 2.0]);
        let got = run(ActivationGradient { activation }, &[x, ([1, 4], &[2.0; 4])]);
        close(&got, &slopes.map(|slope| 2.0 * slope));
    }
}

#[test]
fn samples_of_an_example_have_noise_of_their_own() {
    use vae_gpu::rng::{Draw, Stream};
    // Mean 0 and log-variance 0: z is the noise. Row r of 3 samples an example is example 3 first + r, modulo 2^32.
    for (first, samples) in [(0, 1), (5, 3), (u32::MAX, 3), (0x8000_0001, 2)] {
        let mut graph = Graph::new(ParameterLayout::default());
        let posterior = graph.input("posterior", Shape::new(6, 4));
        graph.apply(Reparameterise { stream: Stream::Importance, samples }.into(), &[posterior]).unwrap();
        let step = vae_gpu::step::Step { first, ..a_step(2) };
        let values = HashMap::from([("posterior".to_owned(), vec![0.0; 24])]);
        let z = interpret::<f64>(&graph, &step, &[], &[], &values).unwrap().pop().unwrap();
        let draw = Draw { seed: step.seed, stream: Stream::Importance, step: step.index };
        for (row, z) in z.chunks(2).enumerate() {
            let example = first.wrapping_mul(samples as u32).wrapping_add(row as u32);
            close(z, &[0, 1].map(|e| f64::from(draw.normal(example, e))));
        }
    }
}

#[test]
fn the_f32_path_agrees_with_the_f64_reference() {
    for case in Op::cases().iter().filter(|case| case.inputs.iter().all(|(_, fill)| !fill.is_dataset())) {
        let (graph, _, _) = Graph::of_case(case).unwrap();
        let (wide, step) = (inputs(case), a_step(case.inputs.first().map_or(1, |(shape, _)| shape.rows().div_ceil(2))));
        let narrow = wide.iter().map(|(name, list)| (name.clone(), list.iter().map(|&v| v as f32).collect())).collect();
        let got = interpret::<f32>(&graph, &step, &[], &[], &narrow).unwrap().pop().unwrap();
        let wanted = interpret::<f64>(&graph, &step, &[], &[], &wide).unwrap().pop().unwrap();
        let got: Vec<f64> = got.into_iter().map(f64::from).collect();
        Tolerance::rounding(case.terms).check(&case.to_string(), &got, &wanted);
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    let mut checked = 0;
    let (mut seen, mut too_large) = (HashSet::new(), HashSet::new());
    for case in Op::cases() {
        let size: usize = case.inputs.iter().map(|(shape, _)| shape.len()).sum();
        if size > 20_000 {
            too_large.insert(case.op.name());
            continue;
        }
        seen.insert(case.op.name());
        if case.inputs.iter().any(|(_, fill)| fill.is_dataset()) {
            continue;
        }
        for target in 0..case.inputs.len() {
            let (mut graph, ids, output) = Graph::of_case(&case).unwrap();
            let seed = graph.input("seed", graph.shape(output));
            let gradients = match differentiate(&mut graph, output, seed, &[ids[target]]) {
                Ok(gradients) => gradients,
                Err(error) => {
                    // The op says so, or it is the slope of a piecewise linear activation, which does not change with y.
                    let said = error.to_string().contains("has no gradient") || case.op.name() == "activation_gradient";
                    assert!(said, "{case}: input {target}: {error}");
                    continue;
                }
            };
            let mut values = inputs(&case);
            let weights: Vec<f64> = (0..graph.shape(output).len()).map(|i| (1.7 * i as f64 + 0.3).sin()).collect();
            values.insert("seed".to_owned(), weights.clone());
            let step = a_step(case.inputs[0].0.rows().div_ceil(2));
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
    assert!(checked > 500, "only {checked} derivatives were checked");
    assert!(too_large.is_subset(&seen), "no case is small enough: {:?}", too_large.difference(&seen));
}

#[test]
fn ops_without_a_gradient_say_so() {
    let (mut graph, ids, output) =
        Graph::of_case(&Case::new(KlGradient, 1, &[([2, 4], Fill::Normal), ([2, 1], Fill::Normal)])).unwrap();
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
    let error = graph.apply(SegmentSum { count: 5 }.into(), &[a]).unwrap_err().to_string();
    assert_eq!(error, "segment_sum: x is [64, 784], a group is 5 rows: groups must fill the rows exactly");
}

fn training(config: ModelConfig, batches: Batches) -> Graph {
    Model::new(config).unwrap().gradients(&batches).unwrap().remove(0).graph
}

fn batches(examples: usize, rows: usize) -> Batches {
    Batches::new(0, examples, DType::U8, rows)
}

#[test]
fn fusion_removes_dispatches() {
    let config = ModelConfig {
        encoder: Layer::dense(&[7, 5], Activation::Relu),
        decoder: Layer::dense(&[5, 7], Activation::Relu),
        latent: 3,
        ..ModelConfig::vae(12)
    };
    let graph = training(config, batches(9, 4));
    let [unfused, ends, all] =
        [Fusion::None, Fusion::Epilogues, Fusion::All].map(|fuse| compile(&graph, Options::new(fuse)).unwrap());
    // Three products and a bias gradient a layer but for the first's input gradient; the record's two stages; the draw; the batch.
    let ops = 6 * 4 - 1 + 2 + 1;
    assert_eq!([ends.dispatches.len(), all.dispatches.len()], [ops + 1, ops], "{ends}\n{all}");
    // A layer's gradients share a dispatch, and the record rides along; the CPU has no use for that.
    assert_eq!([ends.groups().count(), all.groups().count()], [ops + 1, 6 + 1 + 6], "{ends}\n{all}");
    assert_eq!(unfused.groups().count(), 49, "{unfused}");
}

#[test]
fn cases_have_data_sets_where_they_read_them() {
    for case in Op::cases().iter().filter(|case| case.op.name() == "gather") {
        let held = dataset(case).unwrap();
        assert_eq!((held.pixels.len(), held.dtype()), (case.inputs[0].0.len(), case.op.reads()));
    }
}

#[test]
fn a_data_set_is_read_as_it_is_stored() {
    let mut graph = Graph::new(ParameterLayout::default());
    let (bytes, reals) =
        (graph.dataset(0, Shape::new(2, 3), DType::U8), graph.dataset(1, Shape::new(1, 4), DType::F32));
    let error = graph.apply(SumRows.into(), &[bytes]).unwrap_err().to_string();
    assert_eq!(error, "sum_rows: Dataset(0) is stored as U8: it reads F32");
    for (data, name) in [(bytes, "bytes"), (reals, "reals")] {
        let x = graph.gather(data, 1, Order::Stored, Pixels::Threshold).unwrap();
        graph.output(name, x);
    }
    let plan = compile(&graph, Options::default()).unwrap();
    let held = [
        Data { shape: Shape::new(2, 3), values: Values::Bytes(&[127, 128, 0, 1, 2, 3]) },
        Data { shape: Shape::new(1, 4), values: Values::Reals(&[0.49, 0.5, -3.0, 3.0]) },
    ];
    let mut session = CpuSession::<f64>::new(graph.layout(), &held);
    let program = session.load(plan.clone()).unwrap();
    session.run(&[program], &[vae_gpu::step::Step::default()]).unwrap();
    assert_eq!(session.output(program, "bytes").unwrap(), [0.0, 1.0, 0.0]);
    assert_eq!(session.output(program, "reals").unwrap(), [0.0, 1.0, 0.0, 1.0]);
    let swapped = [held[0], Data { shape: Shape::new(1, 4), values: Values::Bytes(&[0; 4]) }];
    let error = CpuSession::<f64>::new(graph.layout(), &swapped).load(plan).unwrap_err().to_string();
    assert!(error.contains("data set 1 of [1, 4], F32; the session holds"), "{error}");
}

#[test]
fn the_default_training_plan_is_the_recorded_one() {
    let graph = training(ModelConfig::vae(784), batches(60_000, 128));
    let options = Options::new(Fusion::All);
    insta::assert_snapshot!(compile(&graph, options).unwrap());
}
