//! Updates in place, on the CPU and on a GPU alike: of a part of the parameters, clipped and decaying, accumulation; and the
//! gradients that they read.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{Check, Tolerance, a_step, scalars};
use crate::sessions::{devices, written};
use vae_gpu::backend::Device;
use vae_gpu::graph::{GRADIENTS, Graph, Init, PARAMETERS, ParameterId, ParameterLayout, differentiate};
use vae_gpu::ops::{Adam, DECAY, Factor, LogSumExpUpdate, Scale};
use vae_gpu::optim::{AdamW, Optimiser};
use vae_gpu::plan::{Options, Plan, compile};
use vae_gpu::step::Step;
use vae_gpu::tensor::Shape;

fn doubled(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// Rounding of a few operations in f32.
const ROUNDING: Tolerance = Tolerance { relative: 1e-6, absolute: 1e-12 };

/// Sizes on either side of the arenas' padding to 64 elements, and some that clipping sums in several parts.
const SIZES: [[usize; 2]; 4] = [[3, 5], [1, 70], [50, 61], [2, 64]];

fn layout() -> (ParameterLayout, Vec<ParameterId>) {
    let mut layout = ParameterLayout::default();
    let declare = |(i, [rows, cols]): (usize, [usize; 2])| {
        layout.declare(format!("p{i}"), Shape::new(rows, cols), Init::linear(cols))
    };
    let ids = SIZES.into_iter().enumerate().map(declare).collect();
    (layout, ids)
}

fn gradient_values(i: usize) -> Vec<f32> {
    (0..SIZES[i][0] * SIZES[i][1]).map(|e| (e as f32 * 0.37 + i as f32).sin() * 0.1).collect()
}

/// A program that puts gradients which the host writes into their arena, and one that updates their parameters.
fn updating(layout: &ParameterLayout, group: &[ParameterId], clip: Option<f64>) -> [Plan; 2] {
    let mut graph = Graph::new(layout.clone());
    for &id in group {
        let parameter = layout.get(id).clone();
        let gradient = written(&mut graph, &parameter.name, parameter.shape);
        graph.store_gradient(id, gradient).unwrap();
    }
    let update = Optimiser { clip, ..Optimiser::default() }.update(layout, group).unwrap();
    [graph, update].map(|graph| compile(&graph, Options::default()).unwrap())
}

/// The parameters and moments after two steps in which these groups are updated, one after another.
fn updated(
    device: &dyn Device,
    layout: &ParameterLayout,
    groups: &[&[ParameterId]],
    clip: Option<f64>,
    decay: f64,
) -> [Vec<f64>; 3] {
    let mut session = device.session(layout, &[]).unwrap();
    session.write_arena(PARAMETERS, &layout.initial(3)).unwrap();
    let mut programs = Vec::new();
    for group in groups {
        for plan in updating(layout, group, clip) {
            let names: Vec<String> = plan.inputs.iter().map(|(name, _)| name.clone()).collect();
            let program = session.load(plan).unwrap();
            for name in names {
                let index: usize = name[1..].parse().unwrap();
                session.write_input(program, &name, &gradient_values(index)).unwrap();
            }
            programs.push(program);
        }
    }
    // What the host gives for padding must not reach a norm.
    session.write_arena(GRADIENTS, &vec![9.0; layout.len()]).unwrap();
    for t in 1..=2 {
        session.run(&programs, &[Step { scalars: scalars(1e-2, t).with(DECAY, decay), ..Step::default() }]).unwrap();
    }
    [PARAMETERS, "adam.first", "adam.second"].map(|arena| doubled(&session.read_arena(arena).unwrap()))
}

#[test]
fn updates_of_parts_are_one_update_of_all() {
    let (layout, ids) = layout();
    for device in devices() {
        let all = updated(&*device, &layout, &[&ids], None, 0.9);
        let (left, right) = ids.split_at(2);
        assert!(all == updated(&*device, &layout, &[right, left], None, 0.9), "{}", device.name());
        // An update of a part leaves the rest alone.
        let [parameters, first, _] = updated(&*device, &layout, &[right], None, 0.9);
        let kept = layout.get(right[0]).offset;
        assert_eq!(parameters[..kept], doubled(&layout.initial(3))[..kept]);
        assert!(first[..kept].iter().all(|&m| m == 0.0) && first[kept..][..100].iter().all(|&m| m != 0.0));
    }
}

#[test]
fn updates_that_cannot_be_are_refused() {
    let (layout, ids) = layout();
    let refused = |parameters: &[ParameterId], clip: Option<f64>| {
        Optimiser { clip, ..Optimiser::default() }.update(&layout, parameters).unwrap_err().to_string()
    };
    assert_eq!(refused(&[ids[0], ids[2]], None), "p0 comes before p2: parameters of one span must be consecutive");
    assert_eq!(refused(&[], None), "there is no parameter");
    assert!(refused(&ids, Some(0.0)).contains("max_norm is 0"));

    let mut graph = Graph::new(layout.clone());
    let gradient = written(&mut graph, "p1", layout.get(ids[1]).shape);
    assert!(graph.store_gradient(ids[0], gradient).is_err());
    graph.store_gradient(ids[1], gradient).unwrap();
    let error = graph.store_gradient(ids[1], gradient).unwrap_err().to_string();
    assert_eq!(error, "p1: it has its gradient already");

    // A parameter may be read after the update of another, not after its own.
    let span = layout.span_of(&ids[..2]).unwrap();
    for (parameter, allowed) in [(ids[0], false), (ids[1], false), (ids[2], true)] {
        let mut graph = Graph::new(layout.clone());
        let [p, m, v, g] = [PARAMETERS, "m", "v", GRADIENTS].map(|name| graph.arena(name, span.clone()));
        graph.update(Adam::default(), &[p, m, v, g]).unwrap();
        let value = graph.parameter(parameter);
        let read = graph.apply(Scale { factor: Factor::Scalar("beta") }.into(), &[value]).unwrap();
        graph.output("read", read);
        assert_eq!(compile(&graph, Options::default()).is_ok(), allowed);
    }
}

#[test]
fn what_an_update_may_not_name_is_refused() {
    let (layout, ids) = layout();
    let refused = |build: &dyn Fn(&mut Graph)| {
        let mut graph = Graph::new(layout.clone());
        build(&mut graph);
        compile(&graph, Options::default()).unwrap_err().to_string()
    };
    let span = layout.span(ids[0]);
    let arenas = |g: &mut Graph| [PARAMETERS, "m", "v", GRADIENTS].map(|name| g.arena(name, span.clone()));
    let twice = refused(&|g| {
        let [p, m, _, d] = arenas(g);
        g.update(Adam::default(), &[p, m, m, d]).unwrap();
    });
    assert!(twice.contains("must be different buffers"), "{twice}");
    let read_too = refused(&|g| {
        let [p, m, v, _] = arenas(g);
        g.update(Adam::default(), &[p, m, v, p]).unwrap();
    });
    assert!(read_too.contains("must be different buffers"), "{read_too}");
    let own = refused(&|g| {
        let [p, m, v, d] = arenas(g);
        g.update(Adam::default(), &[p, m, v, d]).unwrap();
        let gradient = written(g, "p0", layout.get(ids[0]).shape);
        g.store_gradient(ids[0], gradient).unwrap();
    });
    assert!(own.contains("must be a graph of its own"), "{own}");
    let two_shapes = refused(&|g| {
        let sum = [4, 8].map(|cols| g.input("x", Shape::new(1, cols)));
        sum.into_iter().enumerate().for_each(|(at, x)| g.output(&at.to_string(), x));
    });
    assert_eq!(two_shapes, "Input(\"x\") is [1, 4] and [1, 8]: it must have one shape");
}

#[test]
fn gradients_that_others_read_or_that_are_leaves_are_stored() {
    let mut layout = ParameterLayout::default();
    let ids = ["a", "b", "c"].map(|name| layout.declare(name, Shape::new(2, 3), Init::Zero));
    // y = (a + 2 b) + 0.5 c: the gradients of a is the seed, that of b twice it, that of c half of it.
    let mut graph = Graph::new(layout.clone());
    let [a, b, c] = ids.map(|id| graph.parameter(id));
    let sum = graph.add_scaled(a, b, Factor::Constant(2.0)).unwrap();
    let y = graph.add_scaled(sum, c, Factor::Constant(0.5)).unwrap();
    let seed = graph.input("seed", Shape::new(2, 3));
    let gradients = differentiate(&mut graph, y, seed, &[a, b, c]).unwrap();
    ids.into_iter().zip(gradients).for_each(|(id, gradient)| graph.store_gradient(id, gradient).unwrap());
    for device in devices() {
        let mut session = device.session(&layout, &[]).unwrap();
        let program = session.load(compile(&graph, device.options()).unwrap()).unwrap();
        session.write_input(program, "seed", &[1.0, -2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        session.run(&[program], &[Step::default()]).unwrap();
        let arena = session.read_arena(GRADIENTS).unwrap();
        let first = |id| arena[layout.get(id).offset..][..2].to_vec();
        assert_eq!(ids.map(first), [[1.0, -2.0], [2.0, -4.0], [0.5, -1.0]], "{}", device.name());
    }
}

#[test]
fn a_part_of_a_parameter_is_updated_alone() {
    let mut layout = ParameterLayout::default();
    layout.declare("p", Shape::new(1, 70), Init::Zero);
    for device in devices() {
        let mut graph = Graph::new(layout.clone());
        let [p, m, v, d] = [PARAMETERS, "m", "v", GRADIENTS].map(|name| graph.arena(name, 64..72));
        graph.update(Adam::default(), &[p, m, v, d]).unwrap();
        let mut session = device.session(&layout, &[]).unwrap();
        let program = session.load(compile(&graph, Options::default()).unwrap()).unwrap();
        session.write_arena(GRADIENTS, &vec![1.0; layout.len()]).unwrap();
        session.run(&[program], &[Step { scalars: scalars(0.5, 1), ..Step::default() }]).unwrap();
        let moved = session.read_arena(PARAMETERS).unwrap();
        let changed: Vec<usize> = (0..layout.len()).filter(|&at| moved[at] != 0.0).collect();
        assert_eq!(changed, (64..70).collect::<Vec<_>>(), "{}", device.name());
    }
}

#[test]
fn a_session_has_the_arenas_of_its_programs() {
    let (layout, ids) = layout();
    for device in devices() {
        let mut session = device.session(&layout, &[]).unwrap();
        let error = session.write_arena("adam.first", &vec![0.0; layout.len()]).unwrap_err().to_string();
        assert_eq!(error, "there is no value named adam.first; there is parameters");
        let [_, update] = updating(&layout, &ids, None);
        assert_eq!(update.arenas, [GRADIENTS, PARAMETERS, "adam.first", "adam.second"]);
        session.load(update).unwrap();
        assert!(session.write_arena("adam.first", &[0.0]).is_err());
        assert_eq!(session.read_arena("adam.first").unwrap(), vec![0.0; layout.len()]);
    }
}

#[test]
fn a_clipped_decaying_step_is_the_one_worked_by_hand() {
    let mut layout = ParameterLayout::default();
    let id = layout.declare("p", Shape::new(1, 2), Init::linear(1));
    for device in devices() {
        // The gradient (3, 4) has norm 5. A largest norm of 1 scales it by 1 / (5 + 1e-6), one of 6 leaves it.
        for (max_norm, factor) in [(1.0, 1.0 / 5.000001), (6.0, 1.0)] {
            let mut session = device.session(&layout, &[]).unwrap();
            let programs = updating(&layout, &[id], Some(max_norm)).map(|plan| session.load(plan).unwrap());
            let mut arena = vec![0.0; layout.len()];
            arena[..2].copy_from_slice(&[1.0, -2.0]);
            session.write_arena(PARAMETERS, &arena).unwrap();
            session.write_input(programs[0], "p", &[3.0, -4.0]).unwrap();
            // Rate 0.1, weight decay 0.5: parameters shrink by 0.95, then each moves by the rate against its gradient's
            // sign (by 0.1 / (1 + 1e-8 / g), to be exact).
            let rule = AdamW { weight_decay: 0.5, ..AdamW::default() };
            let optimiser = Optimiser { rule, ..Optimiser::default() };
            session.run(&programs, &[Step { scalars: optimiser.scalars(0.1, 1), ..Step::default() }]).unwrap();
            let first_two = |values: Vec<f32>| doubled(&values[..2]);
            let parameters = first_two(session.read_arena(PARAMETERS).unwrap());
            ROUNDING.check("parameters", &parameters, &[0.95 - 0.1, -1.9 + 0.1]);
            let first = first_two(session.read_arena("adam.first").unwrap());
            ROUNDING.check("first moments", &first, &[0.1 * 3.0 * factor, -0.1 * 4.0 * factor]);
            let second = first_two(session.read_arena("adam.second").unwrap());
            let squares = [9.0, 16.0].map(|square: f64| 0.001 * square * factor * factor);
            ROUNDING.check("second moments", &second, &squares);
        }
    }
}

#[test]
fn the_norm_is_that_of_the_updated_gradients_alone() {
    let (layout, ids) = layout();
    let norm = |of: std::ops::Range<usize>| {
        let squares = of.flat_map(gradient_values).map(|g| f64::from(g).powi(2));
        squares.sum::<f64>().sqrt()
    };
    let max_norm = 0.5;
    for device in devices() {
        for part in [0..4, 1..3, 3..4] {
            let [_, first, _] = updated(&*device, &layout, &[&ids[part.clone()]], Some(max_norm), 1.0);
            let factor = (max_norm / (norm(part.clone()) + 1e-6)).min(1.0);
            for i in part {
                let got = &first[layout.get(ids[i]).offset..][..gradient_values(i).len()];
                // Two steps with one gradient: 0.1 g, then 0.9 of that and 0.1 g.
                let wanted: Vec<f64> = gradient_values(i).iter().map(|&g| 0.19 * factor * f64::from(g)).collect();
                ROUNDING.check(&format!("p{i}"), got, &wanted);
            }
        }
    }
}

/// The states after the host wrote each of `batches` and ran `repeats` steps on it, in one submission.
fn accumulated(device: &dyn Device, samples: usize, batches: &[Vec<f32>], repeats: usize) -> Vec<f64> {
    let rows = batches[0].len() / samples;
    let mut graph = Graph::new(ParameterLayout::default());
    let state = graph.input("state", Shape::new(rows, 2));
    let v = written(&mut graph, "v", Shape::new(rows * samples, 1));
    graph.update(LogSumExpUpdate { samples }, &[state, v]).unwrap();
    graph.output("state", state);
    let mut session = device.session(graph.layout(), &[]).unwrap();
    let program = session.load(compile(&graph, Options::default()).unwrap()).unwrap();
    session.write_input(program, "state", &[-1e30, 0.0].repeat(rows)).unwrap();
    for batch in batches {
        session.write_input(program, "v", batch).unwrap();
        session.run(&[program], &vec![a_step(rows); repeats]).unwrap();
    }
    doubled(&session.read_output(program, "state").unwrap())
}

#[test]
fn log_sums_of_exponentials_gather_over_steps() {
    for device in devices() {
        // One value a step. Row 0: log(e^-1000 + e^1000) = 1000; row 1: log(e^-90 + e^-90) = log 2 - 90; row 2: from
        // above to below, log(e^3 + e^1) = 3 + log(1 + e^-2).
        let batches = [vec![-1000.0, -90.0, 3.0], vec![1000.0, -90.0, 1.0]];
        let state = accumulated(&*device, 1, &batches, 1);
        let wanted = [1000.0, 1.0, -90.0, 2.0, 3.0, 1.0 + 0.135_335_283_236_612_7];
        ROUNDING.check("one value a step", &state, &wanted);
        // 70 values a row and step, 129 rows, two steps on each of three batches.
        let value = |i: usize| (i as f32 * 0.73).sin() * if i.is_multiple_of(7) { 300.0 } else { 5.0 };
        let batches: Vec<Vec<f32>> = (0..3).map(|b| (0..129 * 70).map(|i| value(i + 1000 * b)).collect()).collect();
        let state = accumulated(&*device, 70, &batches, 2);
        for row in 0..129 {
            let of_row = |batch: &Vec<f32>| doubled(&batch[row * 70..][..70]);
            let values: Vec<f64> = batches.iter().flat_map(of_row).collect();
            let most = values.iter().copied().fold(f64::MIN, f64::max);
            let sum: f64 = values.iter().map(|v| 2.0 * (v - most).exp()).sum();
            // WGSL's exp may be off by 3 + 2|x| units in the last place, of shares e^x that are small where |x| is not.
            let tolerance = Tolerance { relative: 2e-6, absolute: 0.0 };
            tolerance.check(&format!("row {row}"), &state[2 * row..][..2], &[most, sum]);
        }
    }
}

#[test]
fn accumulation_needs_an_input_of_its_own() {
    let mut graph = Graph::new(ParameterLayout::default());
    let state = graph.input("state", Shape::new(3, 2));
    let v = graph.input("v", Shape::new(6, 1));
    let computed = graph.apply(Scale { factor: Factor::Scalar("beta") }.into(), &[state]).unwrap();
    let error = graph.update(LogSumExpUpdate { samples: 2 }, &[computed, v]).unwrap_err().to_string();
    assert!(error.contains("must be an input the host writes"), "{error}");
    let error = graph.update(LogSumExpUpdate { samples: 3 }, &[state, v]).unwrap_err().to_string();
    assert!(error.contains("the state is [3, 2], the values [6, 1], 3 a row"), "{error}");
    let scale = Scale { factor: Factor::Constant(2.0) };
    assert!(graph.update(scale, &[state]).is_err());
    graph.update(LogSumExpUpdate { samples: 2 }, &[state, v]).unwrap();
    let late = graph.apply(scale.into(), &[state]).unwrap();
    graph.output("late", late);
    let error = compile(&graph, Options::default()).unwrap_err().to_string();
    assert!(error.contains("after this step updated it"), "{error}");
}

#[test]
fn each_dispatch_of_a_step_is_timed() {
    let (layout, ids) = layout();
    for device in devices() {
        let [_, plan] = updating(&layout, &ids, Some(1.0));
        let (count, inputs) = (plan.dispatches.len(), plan.inputs.clone());
        let mut session = device.session(&layout, &[]).unwrap();
        let program = session.load(plan).unwrap();
        for (name, slice) in inputs {
            session.write_input(program, &name, &vec![0.5; slice.shape.len()]).unwrap();
        }
        let before = session.counters();
        match session.profile(program, &a_step(1), 3) {
            Ok(times) => {
                assert_eq!(times.len(), count);
                assert!(times.iter().all(|seconds| (0.0..10.0).contains(seconds)), "{}: {times:?}", device.name());
                assert!(times.iter().sum::<f64>() > 0.0, "{}: {times:?}", device.name());
                // Once to warm up, and three times.
                assert_eq!((session.counters() - before).dispatches, 4 * count as u64);
            }
            // An adapter without a clock says so, and gives no numbers.
            Err(error) => assert!(error.to_string().contains("a dispatch cannot be timed by itself"), "{error}"),
        }
    }
}
