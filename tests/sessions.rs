//! What programs do to a session's state, on the CPU and on a GPU alike: metrics rows filled by several programs, updates
//! of a part of the parameters, clipped and decaying updates, accumulation in place.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{Tolerance, a_step, gpu};
use vae_gpu::backend::Device;
use vae_gpu::backend::cpu::Cpu;
use vae_gpu::backend::gpu::GpuOptions;
use vae_gpu::graph::{Graph, Init, NodeId, ParameterId, ParameterLayout};
use vae_gpu::ops::{Adam, Factor, LogSumExpUpdate, Scale};
use vae_gpu::plan::{Arena, Options, compile};
use vae_gpu::step::Step;
use vae_gpu::tensor::Shape;

/// The CPU in f64, and the first adapter with and without checks.
fn devices() -> Vec<Box<dyn Device>> {
    let mut devices: Vec<Box<dyn Device>> = vec![Box::new(Cpu::<f64>::new())];
    for checks in [true, false] {
        devices.extend(gpu(GpuOptions { checks, ..GpuOptions::default() }).map(|gpu| Box::new(gpu) as Box<dyn Device>));
    }
    devices
}

fn doubled(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// Rounding of a few operations in f32.
const ROUNDING: Tolerance = Tolerance { relative: 1e-6, absolute: 1e-12 };

/// A value of the graph's own: what the host writes to input `name`.
fn written(graph: &mut Graph, name: &str, shape: Shape) -> NodeId {
    let input = graph.input(name, shape);
    graph.apply(Scale { factor: Factor::Constant(1.0) }.into(), &[input]).unwrap()
}

#[test]
fn programs_of_a_step_fill_one_row_and_nobodys_columns_are_zero() {
    let recording = |first: usize, names: &[&str]| {
        let mut graph = Graph::new(ParameterLayout::default());
        let scalars: Vec<NodeId> = names.iter().map(|name| written(&mut graph, name, Shape::SCALAR)).collect();
        graph.record(first, &scalars).unwrap();
        compile(&graph, Options::default()).unwrap()
    };
    for device in devices() {
        let mut session = device.session(&ParameterLayout::default(), &[]).unwrap();
        let one = session.load(recording(0, &["a"])).unwrap();
        let two = session.load(recording(1, &["b", "c"])).unwrap();
        let three = session.load(recording(0, &["a", "b", "c"])).unwrap();
        for (program, names) in [(one, "a"), (two, "bc"), (three, "abc")] {
            for (i, name) in names.chars().enumerate() {
                session.write_input(program, &name.to_string(), &[(10 * names.len() + i) as f32]).unwrap();
            }
        }
        let before = session.traffic();
        let steps = [Step::default(); 3];
        assert_eq!(session.run(&[three], &steps).unwrap(), [[30.0, 31.0, 32.0]; 3], "{}", device.name());
        assert_eq!(session.run(&[one, two], &steps[..2]).unwrap(), [[10.0, 20.0, 21.0]; 2]);
        assert_eq!(session.run(&[two], &steps).unwrap(), [[0.0, 20.0, 21.0]; 3]);
        assert_eq!(session.run(&[one], &steps[..1]).unwrap(), [[10.0, 0.0, 0.0]]);
        // The last one that writes a column stands.
        assert_eq!(session.run(&[three, one, one], &steps).unwrap(), [[10.0, 31.0, 32.0]; 3]);
        // Each value takes a dispatch, each record one.
        assert_eq!((session.traffic() - before).dispatches, 3 * 4 + 2 * 5 + 3 * 3 + 2 + 3 * 8);
    }
    let mut graph = Graph::new(ParameterLayout::default());
    let a = graph.input("a", Shape::SCALAR);
    assert!(graph.record(0, &[]).is_err());
    let error = graph.record(2, &[a, a]).unwrap_err().to_string();
    assert_eq!(error, "record: 2 values from column 2 on: it takes 1 or more, and a row has 3 columns");
}

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

/// A graph that updates these groups of parameters, each from gradients that the host writes.
fn updating(layout: &ParameterLayout, groups: &[&[ParameterId]], clip: Option<f64>) -> Graph {
    let mut graph = Graph::new(layout.clone());
    for group in groups {
        let gradients = group.iter().map(|&id| {
            let parameter = layout.get(id).clone();
            (id, written(&mut graph, &parameter.name, parameter.shape))
        });
        let gradients = gradients.collect();
        graph.update(Adam::default().into(), gradients, clip).unwrap();
    }
    graph
}

/// The arenas after two steps of these graphs, a program each.
fn updated(device: &dyn Device, layout: &ParameterLayout, graphs: &[Graph], decay: f64) -> [Vec<f64>; 3] {
    let mut session = device.session(layout, &[]).unwrap();
    session.write_arena(Arena::Parameters, &layout.initial(3)).unwrap();
    // What the host gives for padding must not reach a norm.
    session.write_arena(Arena::Gradients, &vec![9.0; layout.len()]).unwrap();
    let programs: Vec<_> = graphs
        .iter()
        .map(|graph| {
            let plan = compile(graph, Options::default()).unwrap();
            let names: Vec<String> = plan.inputs.iter().map(|(name, _)| name.clone()).collect();
            let program = session.load(plan).unwrap();
            for name in names {
                let index: usize = name[1..].parse().unwrap();
                session.write_input(program, &name, &gradient_values(index)).unwrap();
            }
            program
        })
        .collect();
    for t in 1..=2 {
        let (step_size, second_scale) = Adam::default().schedule(1e-2, t);
        session.run(&programs, &[Step { step_size, second_scale, decay, ..Step::default() }]).unwrap();
    }
    [Arena::Parameters, Arena::FirstMoments, Arena::SecondMoments]
        .map(|arena| doubled(&session.read_arena(arena).unwrap()))
}

#[test]
fn updates_of_parts_are_one_update_of_all() {
    let (layout, ids) = layout();
    for device in devices() {
        let all = updated(&*device, &layout, &[updating(&layout, &[&ids], None)], 0.9);
        let (left, right) = ids.split_at(2);
        let one_program = updated(&*device, &layout, &[updating(&layout, &[left, right], None)], 0.9);
        assert!(all == one_program, "{}: two updates of one program", device.name());
        let two = [updating(&layout, &[right], None), updating(&layout, &[left], None)];
        assert!(all == updated(&*device, &layout, &two, 0.9), "{}: two programs", device.name());
        // An update of a part leaves the rest alone.
        let [parameters, first, _] = updated(&*device, &layout, &two[..1], 0.9);
        let kept = layout.get(right[0]).offset;
        assert_eq!(parameters[..kept], doubled(&layout.initial(3))[..kept]);
        assert!(first[..kept].iter().all(|&m| m == 0.0) && first[kept..][..100].iter().all(|&m| m != 0.0));
    }
}

#[test]
fn updates_that_cannot_be_are_refused() {
    let (layout, ids) = layout();
    let mut graph = Graph::new(layout.clone());
    let gradients: Vec<NodeId> =
        ids.iter().map(|&id| written(&mut graph, &layout.get(id).name, layout.get(id).shape)).collect();
    let adam = || Adam::default().into();
    let error =
        graph.update(adam(), vec![(ids[0], gradients[0]), (ids[2], gradients[2])], None).unwrap_err().to_string();
    assert_eq!(error, "adam: it updates p0 and next p2: parameters updated together must be consecutive");
    let error = graph.update(adam(), vec![(ids[0], gradients[0])], Some(0.0)).unwrap_err().to_string();
    assert!(error.contains("max_norm is 0"), "{error}");
    assert!(graph.update(adam(), Vec::new(), None).is_err());
    // The order in which they are given does not matter.
    graph.update(adam(), vec![(ids[1], gradients[1]), (ids[0], gradients[0])], None).unwrap();
    let error = graph.update(adam(), vec![(ids[1], gradients[1])], None).unwrap_err().to_string();
    assert_eq!(error, "adam: p1 has an update already");
    // A parameter may be read after the update of another, not after its own.
    for (parameter, allowed) in [(ids[0], false), (ids[2], true)] {
        let mut graph = graph.clone();
        let value = graph.parameter(parameter);
        let read = graph.apply(Scale { factor: Factor::Beta }.into(), &[value]).unwrap();
        graph.output("read", read);
        assert_eq!(compile(&graph, Options::default()).is_ok(), allowed);
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
            let mut graph = Graph::new(layout.clone());
            let gradient = written(&mut graph, "g", Shape::new(1, 2));
            graph.update(Adam::default().into(), vec![(id, gradient)], Some(max_norm)).unwrap();
            let program = session.load(compile(&graph, Options::default()).unwrap()).unwrap();
            let mut arena = vec![0.0; layout.len()];
            arena[..2].copy_from_slice(&[1.0, -2.0]);
            session.write_arena(Arena::Parameters, &arena).unwrap();
            session.write_input(program, "g", &[3.0, -4.0]).unwrap();
            // Rate 0.1, weight decay 0.5: parameters shrink by 0.95, then each moves by the rate against its gradient's
            // sign (by 0.1 / (1 + 1e-8 / g), to be exact).
            let (step_size, second_scale) = Adam::default().schedule(0.1, 1);
            let step = Step { step_size, second_scale, decay: 1.0 - 0.1 * 0.5, ..Step::default() };
            session.run(&[program], &[step]).unwrap();
            let first_two = |values: Vec<f32>| doubled(&values[..2]);
            let parameters = first_two(session.read_arena(Arena::Parameters).unwrap());
            ROUNDING.check("parameters", &parameters, &[0.95 - 0.1, -1.9 + 0.1]);
            let first = first_two(session.read_arena(Arena::FirstMoments).unwrap());
            ROUNDING.check("first moments", &first, &[0.1 * 3.0 * factor, -0.1 * 4.0 * factor]);
            let second = first_two(session.read_arena(Arena::SecondMoments).unwrap());
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
            let graph = updating(&layout, &[&ids[part.clone()]], Some(max_norm));
            let [_, first, _] = updated(&*device, &layout, &[graph], 1.0);
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
    graph.update_state(LogSumExpUpdate { samples }, &[state, v]).unwrap();
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
    let computed = graph.apply(Scale { factor: Factor::Beta }.into(), &[state]).unwrap();
    let error = graph.update_state(LogSumExpUpdate { samples: 2 }, &[computed, v]).unwrap_err().to_string();
    assert!(error.contains("must be an input the host writes"), "{error}");
    let error = graph.update_state(LogSumExpUpdate { samples: 3 }, &[state, v]).unwrap_err().to_string();
    assert!(error.contains("the state is [3, 2], the values [6, 1], 3 a row"), "{error}");
    let scale = Scale { factor: Factor::Constant(2.0) };
    assert!(graph.update_state(scale, &[state]).is_err());
    graph.update_state(LogSumExpUpdate { samples: 2 }, &[state, v]).unwrap();
    let late = graph.apply(scale.into(), &[state]).unwrap();
    graph.output("late", late);
    let error = compile(&graph, Options::default()).unwrap_err().to_string();
    assert!(error.contains("after this step updated it"), "{error}");
}

#[test]
fn each_dispatch_of_a_step_is_timed() {
    let (layout, ids) = layout();
    for device in devices() {
        let plan = compile(&updating(&layout, &[&ids], Some(1.0)), Options::default()).unwrap();
        let (count, inputs) = (plan.dispatches.len(), plan.inputs.clone());
        let mut session = device.session(&layout, &[]).unwrap();
        let program = session.load(plan).unwrap();
        for (name, slice) in inputs {
            session.write_input(program, &name, &vec![0.5; slice.shape.len()]).unwrap();
        }
        let before = session.traffic();
        match session.profile(program, &a_step(1), 3) {
            Ok(times) => {
                assert_eq!(times.len(), count);
                assert!(times.iter().all(|seconds| (0.0..10.0).contains(seconds)), "{}: {times:?}", device.name());
                assert!(times.iter().sum::<f64>() > 0.0, "{}: {times:?}", device.name());
                // Once to warm up, and three times.
                assert_eq!((session.traffic() - before).dispatches, 4 * count as u64);
            }
            // An adapter without a clock says so, and gives no numbers.
            Err(error) => assert!(error.to_string().contains("a dispatch cannot be timed by itself"), "{error}"),
        }
    }
}
