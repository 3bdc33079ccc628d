//! Every model: its gradients against finite differences in f64, its plan against its bare graph, GPU against CPU, and
//! what sets it apart.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{Check, Tolerance, a_step, gpu};
use std::collections::HashMap;
use vae_gpu::backend::Session;
use vae_gpu::backend::cpu::{Cpu, CpuSession, interpret};
use vae_gpu::backend::gpu::GpuOptions;
use vae_gpu::conformance::{CaseData, EXAMPLES, ROWS, Trained, batches, images, ten_steps, ten_steps_agree};
use vae_gpu::graph::{GRADIENTS, Graph, PARAMETERS, differentiate};
use vae_gpu::models::{Batches, CASE_FEATURES, Gradients, Model, ModelConfig, ModelKind, Prior};
use vae_gpu::ops::{
    Activation, BatchMean, Noise, Norm, OneHotRows, Order, Pixels, PowerSum, RepeatInterleave, SegmentSum, Transpose,
};
use vae_gpu::plan::{Fusion, Options, compile};
use vae_gpu::step::Step;
use vae_gpu::tensor::{DType, Shape};

/// A step of three rows of four.
fn still() -> Step {
    a_step(3)
}

fn session(model: &Model) -> CpuSession<f64> {
    CpuSession::new(model.layout(), &CaseData::of(model.config()).sets())
}

#[test]
fn every_loss_has_the_gradient_that_finite_differences_have() {
    for (name, config) in ModelConfig::cases() {
        let model = Model::new(config).unwrap();
        for (turn, Gradients { graph, .. }) in model.gradients(&batches()).unwrap().iter().enumerate() {
            let mut session = session(&model);
            let program = session.load(compile(graph, Options::default()).unwrap()).unwrap();
            // A GAN's first turn is the discriminator's, whose loss is the second term.
            let loss = if model.config().model == ModelKind::Gan && turn == 0 { 1 } else { 0 };
            assert_eq!(graph.metrics()[0], model.terms()[loss]);
            let start = model.layout().initial(5);
            let mut loss_at = |arena: &[f32]| {
                session.write_arena(PARAMETERS, arena).unwrap();
                let loss = session.run(&[program], &[still()]).unwrap()[0][0];
                (loss, session.arena(GRADIENTS).unwrap().to_vec())
            };
            let (_, gradient) = loss_at(&start);
            let mut seen = 0.0_f64;
            for &(id, _) in graph.gradients() {
                let parameter = model.layout().get(id);
                let len = parameter.shape.len();
                for e in [0, len / 3, len / 2, len - 1] {
                    let at = parameter.offset + e;
                    let h = 1.0 / 1024.0; // exact in f32, so that the parameters are moved by just this
                    let value = (start[at] * 65536.0).round() / 65536.0;
                    let moved = |by: f32| {
                        let mut arena = start.clone();
                        arena[at] = value + by;
                        arena
                    };
                    let gradient = if value == start[at] { gradient[at] } else { loss_at(&moved(0.0)).1[at] };
                    // Richardson: the error of a central difference is a h^2 + b h^4.
                    let mut difference = |h: f32| {
                        let (up, down) = (loss_at(&moved(h)).0, loss_at(&moved(-h)).0);
                        (up - down) / (2.0 * f64::from(h))
                    };
                    let difference = (4.0 * difference(h) - difference(2.0 * h)) / 3.0;
                    let what = format!("{name}, turn {turn}: {} element {e}", parameter.name);
                    Tolerance { relative: 1e-6, absolute: 1e-8 }.check(&what, &[gradient], &[difference]);
                    seen = seen.max(gradient.abs());
                }
            }
            assert!(seen > 1e-3, "{name}: every gradient is 0");
        }
    }
}

#[test]
fn a_plan_computes_what_its_bare_graph_does_fused_and_unfused() {
    for (name, config) in ModelConfig::cases() {
        let model = Model::new(config).unwrap();
        for Gradients { graph, .. } in model.gradients(&batches()).unwrap() {
            let parameters: Vec<f64> = model.layout().initial(5).into_iter().map(f64::from).collect();
            let data = CaseData::of(model.config());
            let values = interpret::<f64>(&graph, &still(), &parameters, &data.sets(), &HashMap::new()).unwrap();
            for fuse in [Fusion::None, Fusion::Epilogues, Fusion::All] {
                let mut session = session(&model);
                session.write_arena(PARAMETERS, &model.layout().initial(5)).unwrap();
                let program = session.load(compile(&graph, Options::new(fuse)).unwrap()).unwrap();
                session.run(&[program], &[still()]).unwrap();
                for (id, node) in graph.gradients() {
                    let parameter = model.layout().get(*id);
                    let planned = &session.arena(GRADIENTS).unwrap()[parameter.offset..][..parameter.shape.len()];
                    let bare = &values[graph.ids().position(|other| other == *node).unwrap()];
                    let what = format!("{name}: {}", parameter.name);
                    Tolerance { relative: 1e-12, absolute: 1e-14 }.check(&what, planned, bare);
                }
            }
        }
    }
}

#[test]
fn ten_steps_on_the_gpu_are_those_of_the_f64_reference() {
    let Some(device) = gpu(GpuOptions::default()) else { return };
    for (name, config) in ModelConfig::cases() {
        for clip in [None, Some(0.05)] {
            if let Err(why) = ten_steps_agree(&device, &config, clip, Options::default()) {
                panic!("{name}, clipped at {clip:?}: {why}");
            }
        }
    }
}

#[test]
fn the_closed_form_of_the_jacobian_is_what_differentiation_gives() {
    for code_activation in [
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Softplus,
        Activation::Identity,
        Activation::Silu,
        Activation::Gelu,
    ] {
        // One layer: the model takes the closed form. The same by hand: a row of the batch for each latent, a unit seed.
        let one_layer = ModelConfig { encoder: vec![], latent: 3, code_activation, ..ModelConfig::vae(CASE_FEATURES) };
        let model = Model::new(ModelConfig { model: ModelKind::Contractive, ..one_layer }).unwrap();
        let mut session = session(&model);
        session.write_arena(PARAMETERS, &model.layout().initial(5)).unwrap();
        let closed = compile(&model.evaluation(&batches()).unwrap(), Options::default()).unwrap();
        let closed = session.load(closed).unwrap();
        let closed = session.run(&[closed], &[still()]).unwrap()[0][2];

        let mut g = Graph::new(model.layout().clone());
        let set = g.dataset(0, Shape::new(EXAMPLES, CASE_FEATURES), DType::F32);
        let x = g.gather(set, ROWS, Order::Stored, Pixels::Grey).unwrap();
        let x = g.apply(RepeatInterleave { count: 3 }.into(), &[x]).unwrap();
        let ids: Vec<_> = model.layout().ids().take(2).collect();
        let (w, b) = (g.parameter(ids[0]), g.parameter(ids[1]));
        let sum = g.matmul(x, w, Transpose::B).unwrap();
        let h = g.bias_activation(sum, b, code_activation).unwrap();
        let seed = g.apply(OneHotRows { count: 3, groups: ROWS }.into(), &[]).unwrap();
        let rows = differentiate(&mut g, h, seed, &[x]).unwrap()[0];
        let squares = g.apply(PowerSum { norm: Norm::L2 }.into(), &[rows]).unwrap();
        let norms = g.apply(SegmentSum { count: 3 }.into(), &[squares]).unwrap();
        let mean = g.apply(BatchMean.into(), &[norms]).unwrap();
        g.record(&[("mean", mean)]).unwrap();
        let open = session.load(compile(&g, Options::default()).unwrap()).unwrap();
        let open = session.run(&[open], &[still()]).unwrap()[0][0];
        assert!((closed - open).abs() < 1e-12 * open && open > 0.01, "{code_activation:?}: {closed} {open}");
    }
}

#[test]
fn iwae_with_one_sample_is_the_vae() {
    let base = ModelConfig::cases().swap_remove(0).1;
    let iwae = ModelConfig { model: ModelKind::Iwae, ..base.clone() };
    let [vae, iwae] =
        [base, iwae].map(|config| ten_steps(&Cpu::<f64>::new(), &config, None, Options::default(), 10).unwrap());
    // a_step has a beta of 0.625, which iwae's one sample takes over: the command line refuses it.
    assert!(vae == iwae, "losses or parameters differ");
}

/// The bound of a model for `samples` draws of the posterior, in nats, the mean over many steps.
fn bound(config: &ModelConfig, samples: usize) -> f64 {
    let model = Model::new(ModelConfig { model: ModelKind::Iwae, samples, ..config.clone() }).unwrap();
    let mut session = session(&model);
    let wide = model.layout().initial(5).iter().map(|value| 3.0 * value).collect::<Vec<_>>();
    session.write_arena(PARAMETERS, &wide).unwrap();
    let graph = model.evaluation(&batches()).unwrap();
    let program = session.load(compile(&graph, Options::default()).unwrap()).unwrap();
    let steps: Vec<Step> = (0..64).map(|index| Step { index, scalars: [("beta", 1.0)].into(), ..still() }).collect();
    let runs: Vec<f64> = (0..40)
        .flat_map(|run| {
            let steps: Vec<Step> = steps.iter().map(|step| Step { index: step.index + 64 * run, ..*step }).collect();
            let recorded = session.run(&[program], &steps).unwrap();
            recorded.rows().map(|metrics| -metrics[0]).collect::<Vec<_>>()
        })
        .collect();
    runs.iter().sum::<f64>() / runs.len() as f64
}

#[test]
fn more_samples_tighten_the_bound() {
    let config = ModelConfig::cases().swap_remove(0).1;
    let [one, five, fifty] = [1, 5, 50].map(|samples| bound(&config, samples));
    assert!(one < five && five < fifty, "{one} {five} {fifty}");
    assert!(fifty - one > 0.01, "{one} {fifty}: the posterior is too good to tell");
}

#[test]
fn importance_sampling_gives_the_log_likelihood_of_a_model_whose_integral_is_known() {
    // The decoder ignores z: log p(x) is then minus its cross-entropy, whatever the posterior and the prior.
    for prior in [Prior::Normal, Prior::Vamp(3)] {
        importance_sampling_of_a_decoder_without_a_latent(prior);
    }
}

fn importance_sampling_of_a_decoder_without_a_latent(prior: Prior) {
    let data = images();
    let config = ModelConfig { decoder: vec![], prior, ..ModelConfig::cases().swap_remove(0).1 };
    let model = Model::new(config).unwrap();
    let mut arena = model.layout().initial(5);
    let named = |name: &str| model.layout().parameters().iter().find(|parameter| parameter.name == name).unwrap();
    let (weight, bias) = (named("decoder.0.weight"), named("decoder.0.bias"));
    arena[weight.offset..][..weight.shape.len()].fill(0.0);
    let logits = arena[bias.offset..][..CASE_FEATURES].to_vec();
    let mut session = session(&model);
    session.write_arena(PARAMETERS, &arena).unwrap();
    let program = session.load(compile(&model.importance(2, 50).unwrap(), Options::default()).unwrap()).unwrap();
    session.write_input(program, "x", &data[..2 * CASE_FEATURES]).unwrap();
    session.write_input(program, "state", &vae_gpu::ops::LogSumExpUpdate::EMPTY.repeat(2)).unwrap();
    let steps: Vec<Step> = (0..64).map(|index| Step { index, ..still() }).collect();
    (0..10).for_each(|run| {
        let steps: Vec<Step> = steps.iter().map(|step| Step { index: step.index + 64 * run, ..*step }).collect();
        session.run(&[program], &steps).unwrap();
    });
    let state = session.read_output(program, "state").unwrap();
    for (row, state) in state.chunks(2).enumerate() {
        let got = f64::from(state[0]) + f64::from(state[1]).ln() - 32_000_f64.ln();
        let wanted: f64 = logits
            .iter()
            .zip(&data[row * CASE_FEATURES..])
            .map(|(&l, &x)| f64::from(x * l) - f64::from(l).exp().ln_1p())
            .sum();
        // 32,000 weights whose deviation is about their mean: 1/sqrt(32000) = 0.006, times four.
        assert!((got - wanted).abs() < 0.025, "row {row}, {prior}: {got} {wanted}");
    }
}

#[test]
fn corruption_reaches_the_encoder_and_not_the_target() {
    let (_, config) = ModelConfig::cases().into_iter().find(|(name, _)| *name == "iwae 5").unwrap();
    let model = Model::new(config).unwrap();
    let loss = |noise| {
        let mut session = session(&model);
        session.write_arena(PARAMETERS, &model.layout().initial(5)).unwrap();
        let turns = model.gradients(&Batches { noise, ..batches() }).unwrap();
        let program = session.load(compile(&turns[0].graph, Options::default()).unwrap()).unwrap();
        session.run(&[program], &[still()]).unwrap()[0][0]
    };
    let (clean, faint) = (loss(None), loss(Some(Noise::Gaussian { deviation: 1e-6 })));
    assert!(clean != faint && (clean - faint).abs() < 1e-4, "{clean} {faint}");
    assert!((loss(Some(Noise::Mask { fraction: 0.9 })) - clean).abs() > 1e-3);
    assert_eq!(
        model.evaluation(&Batches { noise: Some(Noise::Mask { fraction: 0.9 }), ..batches() }).unwrap().nodes().len(),
        model.evaluation(&batches()).unwrap().nodes().len(),
        "nothing is corrupted in evaluation"
    );
}

#[test]
fn running_statistics_move_in_the_phase_of_their_network_alone_and_evaluation_reads_them() {
    let (_, config) = ModelConfig::cases().into_iter().find(|(name, _)| *name == "gan norm").unwrap();
    let model = Model::new(config).unwrap();
    let start = model.layout().initial(5);
    let states: Vec<_> = model.layout().parameters().iter().filter(|parameter| !parameter.trained).collect();
    let of = |network: &str| states.iter().filter(|state| state.name.starts_with(network)).count();
    assert!(of("generator") == 2 && of("discriminator") == 2, "{states:?}");
    for (phase, own) in ["discriminator", "generator"].into_iter().enumerate() {
        let mut session = session(&model);
        session.write_arena(PARAMETERS, &start).unwrap();
        let graph = &model.gradients(&batches()).unwrap()[phase].graph;
        let program = session.load(compile(graph, Options::default()).unwrap()).unwrap();
        session.run(&[program], &[still()]).unwrap();
        let after = session.read_arena(PARAMETERS).unwrap();
        for state in &states {
            let place = state.offset..state.offset + state.shape.len();
            let moved = after[place.clone()].iter().zip(&start[place]).all(|(after, before)| after != before);
            let kept = after[state.offset] == start[state.offset];
            let (name, is_own) = (&state.name, state.name.starts_with(own));
            assert!(if is_own { moved } else { kept }, "phase {phase}: {name}");
        }
    }
    let evaluated = |arena: &[f32]| {
        let mut session = session(&model);
        session.write_arena(PARAMETERS, arena).unwrap();
        let graph = model.evaluation(&batches()).unwrap();
        let program = session.load(compile(&graph, Options::default()).unwrap()).unwrap();
        session.run(&[program], &[still()]).unwrap()[0].to_vec()
    };
    for state in states {
        let mut other = start.clone();
        other[state.offset..][..state.shape.len()].iter_mut().for_each(|value| *value += 0.5);
        assert_ne!(evaluated(&other), evaluated(&start), "{}", state.name);
    }
}

/// In evaluation a decoder has the moving average of what was the best variance of each batch, which the recorded reconstruction tells:
/// at the best log-variance v it is `features (v + log 2 pi + 1) / 2`.
#[test]
fn an_optimal_variance_is_followed() {
    let config = ModelConfig::cases().into_iter().find(|(name, _)| *name == "vae gaussian optimal").unwrap().1;
    let model = Model::new(config.clone()).unwrap();
    let Trained { losses, parameters } = ten_steps(&Cpu::<f64>::new(), &config, None, Options::default(), 10).unwrap();
    let mut wanted = 0.0;
    for [_, reconstruction, _] in losses.as_chunks::<3>().0 {
        let best = 2.0 * reconstruction / CASE_FEATURES as f64 - 1.0 - std::f64::consts::TAU.ln();
        wanted = 0.9 * wanted + 0.1 * best;
    }
    let layout = model.layout();
    let state = layout.ids().map(|id| layout.get(id)).find(|parameter| parameter.name == "decoder.logvar").unwrap();
    assert!(!state.trained);
    let got = parameters[state.offset];
    assert!((got - wanted).abs() < 1e-6 && wanted.abs() > 0.1, "{got} {wanted}");
}

/// Each step moves the logarithm of beta by a tenth of what the step before's reconstruction, a value, is below the target; and the loss
/// has the KL term with the beta before it.
#[test]
fn beta_is_moved_until_the_reconstruction_meets_its_target() {
    let (_, config) = ModelConfig::cases().into_iter().find(|(name, _)| *name == "vae beta auto").unwrap();
    let target = config.target.unwrap();
    let model = Model::new(config.clone()).unwrap();
    let Trained { losses, parameters } = ten_steps(&Cpu::<f64>::new(), &config, None, Options::default(), 10).unwrap();
    let mut log_beta = 0.0_f64;
    for [loss, reconstruction, kl] in losses.as_chunks::<3>().0 {
        assert!((loss - (reconstruction + log_beta.exp() * kl)).abs() < 1e-6, "{loss} {reconstruction} {kl}");
        log_beta += 0.1 * (target - reconstruction) / CASE_FEATURES as f64;
    }
    let state = model.layout().parameters().iter().find(|parameter| parameter.name == "beta.log").unwrap();
    let got = parameters[state.offset];
    assert!(!state.trained && (got - log_beta).abs() < 1e-6 && log_beta.abs() > 1e-3, "{got} {log_beta}");
}
