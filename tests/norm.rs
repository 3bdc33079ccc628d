//! Batch, group and layer norm whole: the builder's ops and their gradients against the formula in plain f64, short batches
//! against batches without padding, running statistics over several steps, all on both back-ends.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{Check, Tolerance, gpu};
use std::collections::BTreeMap;
use vae_gpu::backend::Device;
use vae_gpu::backend::cpu::Cpu;
use vae_gpu::backend::gpu::{Gpu, GpuOptions};
use vae_gpu::graph::{Graph, Init, NodeId, PARAMETERS, ParameterId, ParameterLayout, differentiate};
use vae_gpu::ops::*;
use vae_gpu::plan::{Options, compile};
use vae_gpu::rng::{Draw, Stream};
use vae_gpu::step::Step;
use vae_gpu::tensor::Shape;

const EPSILON: f64 = 1e-3;

type Values = BTreeMap<&'static str, Vec<f64>>;

/// Normal values, exact in f32; not around 0, so that a mean left in shows.
fn drawn(number: u32, len: usize) -> Vec<f64> {
    let draw = Draw { seed: 8, stream: Stream::Synthetic, step: 0 };
    (0..len as u32).map(|e| f64::from(0.75 + draw.normal(number, e))).collect()
}

/// The inputs of [`layer`].
fn inputs(x: Shape) -> Values {
    let [all, c] = [x.len(), x.cols()];
    [("x", all), ("scale", c), ("shift", c), ("d_y", all)]
        .into_iter()
        .zip(0..)
        .map(|((name, len), i)| (name, drawn(i, len)))
        .collect()
}

/// A normalisation of images of this shape; outputs y, its statistics and the gradients of x, scale and shift.
fn layer(over: Over, shape: Shape) -> Graph {
    let mut g = Graph::new(ParameterLayout::default());
    let c = Shape::of([shape.cols()]);
    let [x, scale, shift, d_y] =
        [("x", shape), ("scale", c), ("shift", c), ("d_y", shape)].map(|(name, shape)| g.input(name, shape));
    let [y, statistics] = g.normalise(x, scale, shift, over, EPSILON).unwrap();
    let gradients = differentiate(&mut g, y, d_y, &[x, scale, shift]).unwrap();
    for (name, id) in
        ["y", "statistics", "d_x", "d_scale", "d_shift"].iter().zip([vec![y, statistics], gradients].concat())
    {
        g.output(name, id);
    }
    g
}

/// The outputs of a graph, with so many rows that count.
fn run(device: &dyn Device, graph: &Graph, inputs: &Values, rows: usize) -> Values {
    let mut session = device.session(graph.layout(), &[]).unwrap();
    let program = session.load(compile(graph, Options::default()).unwrap()).unwrap();
    for (name, values) in inputs {
        session.write_input(program, name, &values.iter().map(|&value| value as f32).collect::<Vec<_>>()).unwrap();
    }
    session.run(&[program], &[Step { rows: rows as u32, ..Step::default() }]).unwrap();
    let output = |name: &'static str| {
        (name, session.read_output(program, name).unwrap().iter().map(|&v| f64::from(v)).collect())
    };
    ["y", "statistics", "d_x", "d_scale", "d_shift"].map(output).into()
}

fn gpus() -> Vec<Gpu> {
    [true, false].into_iter().filter_map(|checks| gpu(GpuOptions { checks, ..GpuOptions::default() })).collect()
}

fn check(what: &str, tolerance: Tolerance, got: &Values, wanted: &Values) {
    for (name, wanted) in wanted {
        tolerance.check(&format!("{what}: {name}"), &got[name], wanted);
    }
}

/// What is read back is f32.
const READ_BACK: Tolerance = Tolerance { relative: 1e-6, absolute: 1e-6 };

/// y by the formula, element by element, where only the first images count.
fn by_hand(over: Over, shape: Shape, counted: usize, values: &Values) -> Vec<f64> {
    let (x, channels, of_image) = (&values["x"], shape.cols(), shape.len() / shape.extents()[0]);
    // What an element shares its mean and variance with.
    let key = |e: usize| match over {
        Over::Group(groups) => (e / of_image, e % channels / (channels / groups)),
        Over::Batch { .. } => (0, e % channels),
        Over::Running => panic!("its statistics are not of x"),
    };
    let counts = |e: usize| matches!(over, Over::Group(_)) || e / of_image < counted;
    let element = |e: usize| {
        if !counts(e) {
            return 0.0;
        }
        let shared: Vec<f64> =
            (0..x.len()).filter(|&other| counts(other) && key(other) == key(e)).map(|other| x[other]).collect();
        let mean = shared.iter().sum::<f64>() / shared.len() as f64;
        let variance = shared.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / shared.len() as f64;
        (x[e] - mean) / (variance + EPSILON).sqrt() * values["scale"][e % channels] + values["shift"][e % channels]
    };
    (0..x.len()).map(element).collect()
}

/// `y` by the formula, and its gradients by finite differences of it.
fn wanted(over: Over, shape: Shape, counted: usize, values: &Values) -> Values {
    let h = 1e-5;
    let mut wanted = Values::from([("y", by_hand(over, shape, counted, values))]);
    for (name, gradient) in [("x", "d_x"), ("scale", "d_scale"), ("shift", "d_shift")] {
        let slope = |e: usize| {
            let [up, down] = [h, -h].map(|by| {
                let mut moved = values.clone();
                moved.get_mut(name).unwrap()[e] += by;
                by_hand(over, shape, counted, &moved)
            });
            up.iter().zip(&down).zip(&values["d_y"]).map(|((up, down), d)| (up - down) * d).sum::<f64>() / (2.0 * h)
        };
        wanted.insert(gradient, (0..values[name].len()).map(slope).collect());
    }
    wanted
}

#[test]
fn a_normalisation_and_its_gradients_are_the_formula_and_its_slopes() {
    let gpus = gpus();
    let images = Shape::of([4, 3, 2, 6]);
    for (over, shape, rows, counted) in [
        (Over::Group(1), images, 4, 4),
        (Over::Group(3), images, 1, 4),
        (Over::Group(2), Shape::new(5, 10), 5, 5),
        (Over::Batch { samples: 1 }, images, 3, 3),
        (Over::Batch { samples: 2 }, images, 1, 2),
        (Over::Batch { samples: 1 }, Shape::new(9, 5), 7, 7),
    ] {
        let (graph, values) = (layer(over, shape), inputs(shape));
        let wanted = wanted(over, shape, counted, &values);
        // A difference of step h is off by h^2 of the third derivative, and 1e-16 / h of the sums.
        let slopes = Tolerance { relative: 1e-6, absolute: 1e-6 };
        let what = format!("{over:?} on {shape}");
        let exact = run(&Cpu::<f64>::new(), &graph, &values, rows);
        check(&format!("{what}, f64"), slopes, &exact, &wanted);
        // Sums of at most 24 terms, some of size 10, a few deep.
        let rounding = Tolerance::rounding(256);
        check(&format!("{what}, f32"), rounding, &run(&Cpu::<f32>::new(), &graph, &values, rows), &exact);
        for gpu in &gpus {
            check(&format!("{what}, GPU"), rounding, &run(gpu, &graph, &values, rows), &exact);
        }
    }
}

#[test]
fn one_group_is_layer_norm() {
    // Rows 1, 2, 3 and 0, 0, 6: means 2 and 2, variances 2/3 and 8.
    let mut g = Graph::new(ParameterLayout::default());
    let x = g.input("x", Shape::new(2, 3));
    let [scale, shift] = ["scale", "shift"].map(|name| g.input(name, Shape::of([3])));
    let [y, statistics] = g.normalise(x, scale, shift, Over::Group(1), 0.0).unwrap();
    let values =
        [("x", vec![1.0, 2.0, 3.0, 0.0, 0.0, 6.0]), ("scale", vec![1.0, 1.0, 2.0]), ("shift", vec![0.0, 5.0, 1.0])];
    let values = values.map(|(name, list)| (name.to_owned(), list)).into();
    let all =
        vae_gpu::backend::cpu::interpret::<f64>(&g, &Step { rows: 2, ..Step::default() }, &[], &[], &values).unwrap();
    let [y, statistics] = [y, statistics].map(|id| &all[g.ids().position(|other| other == id).unwrap()]);
    let exact = Tolerance { relative: 1e-12, absolute: 1e-12 };
    exact.check("statistics", statistics, &[2.0, 2.0 / 3.0, 2.0, 8.0]);
    let (root, half) = (1.5_f64.sqrt(), 0.5_f64.sqrt());
    exact.check("y", y, &[-root, 5.0, 2.0 * root + 1.0, -half, 5.0 - half, 4.0 * half + 1.0]);
}

#[test]
fn a_short_batch_is_the_batch_without_its_padding() {
    let (over, rows, counted) = (Over::Batch { samples: 2 }, 2, 4);
    let [padded, short] = [6, counted].map(|images| Shape::of([images, 3, 2, 5]));
    let all = inputs(padded);
    let of_short = |values: &Values| -> Values {
        let cut = |(&name, list): (&&'static str, &Vec<f64>)| (name, list[..list.len().min(short.len())].to_vec());
        values.iter().map(cut).collect()
    };
    let cpu = Cpu::<f64>::new();
    let gpus = gpus();
    let devices = gpus.iter().map(|gpu| gpu as &dyn Device).chain([&cpu as &dyn Device]);
    for device in devices {
        let got = run(device, &layer(over, padded), &all, rows);
        let wanted = run(device, &layer(over, short), &of_short(&all), rows);
        check(&device.name(), READ_BACK, &of_short(&got), &wanted);
        for name in ["y", "d_x"] {
            assert!(got[name][short.len()..].iter().all(|&value| value == 0.0), "{name} of what does not count");
        }
    }
}

const CHANNELS: usize = 5;

/// Batch norm's running statistics, as parameters.
fn running() -> (ParameterLayout, [ParameterId; 2]) {
    let mut layout = ParameterLayout::default();
    let ids = ["running_mean", "running_var"].map(|name| layout.declare(name, Shape::of([CHANNELS]), Init::Zero));
    (layout, ids)
}

/// Adds the statistics of an input over the batch.
fn statistics(g: &mut Graph, name: &str, shape: Shape) -> NodeId {
    let x = g.input(name, shape);
    let moments = g.apply(Moments.into(), &[x]).unwrap();
    g.apply(Statistics { over: Over::Batch { samples: 1 } }.into(), &[moments]).unwrap()
}

/// Mean and unbiased variance of each channel of the first images; of one element alone the biased one, which is 0.
fn unbiased(x: &[f64], elements: usize) -> Vec<[f64; 2]> {
    let channel = |c: usize| {
        let values = || (0..elements).map(|e| x[e * CHANNELS + c]);
        let mean = values().sum::<f64>() / elements as f64;
        [mean, values().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (elements as f64 - 1.0).max(1.0)]
    };
    (0..CHANNELS).map(channel).collect()
}

#[test]
fn running_statistics_over_several_steps_are_pytorchs() {
    let momentum = 0.3;
    let cpu = Cpu::<f64>::new();
    let gpus = gpus();
    let devices: Vec<&dyn Device> = gpus.iter().map(|gpu| gpu as &dyn Device).chain([&cpu as &dyn Device]).collect();
    // One to three batches a step; images of six pixels or of one; a step of one element leaves its variance as it is.
    for (batches, shape, steps) in [
        (1, Shape::of([4, 3, 2, CHANNELS]), [4, 3, 1]),
        (2, Shape::new(7, CHANNELS), [7, 1, 2]),
        (3, Shape::of([3, 2, 1, CHANNELS]), [3, 2, 3]),
    ] {
        let pixels = shape.rows() / shape.extents()[0];
        let (layout, ids) = running();
        let mut g = Graph::new(layout.clone());
        let names = &["a", "b", "c"][..batches];
        let values: Vec<NodeId> = names.iter().map(|name| statistics(&mut g, name, shape)).collect();
        let kept = ids.map(|id| g.parameter(id));
        g.update(UpdateRunning { momentum, samples: 1, pixels }, &[kept.to_vec(), values].concat()).unwrap();
        let plan = compile(&g, Options::default()).unwrap();
        for device in &devices {
            let mut session = device.session(&layout, &[]).unwrap();
            let mut wanted = [[0.0, 1.0]; CHANNELS];
            let mut arena = vec![0.0; layout.len()];
            arena[layout.get(ids[1]).offset..][..CHANNELS].fill(1.0);
            session.write_arena(PARAMETERS, &arena).unwrap();
            let program = session.load(plan.clone()).unwrap();
            for (at, rows) in steps.into_iter().enumerate() {
                for (batch, name) in names.iter().enumerate() {
                    let x = drawn((10 * at + batch) as u32, shape.len());
                    session.write_input(program, name, &x.iter().map(|&x| x as f32).collect::<Vec<_>>()).unwrap();
                    for (running, value) in wanted.iter_mut().zip(unbiased(&x, rows * pixels)) {
                        *running = [0, 1].map(|i| (1.0 - momentum) * running[i] + momentum * value[i]);
                    }
                }
                session.run(&[program], &[Step { rows: rows as u32, ..Step::default() }]).unwrap();
                let arena = session.read_arena(PARAMETERS).unwrap();
                for (i, id) in ids.into_iter().enumerate() {
                    let got: Vec<f64> =
                        arena[layout.get(id).offset..][..CHANNELS].iter().map(|&v| f64::from(v)).collect();
                    let wanted: Vec<f64> = wanted.iter().map(|running| running[i]).collect();
                    Tolerance::rounding(64).check(
                        &format!("{}: {batches} a step, step {at}: {i}", device.name()),
                        &got,
                        &wanted,
                    );
                }
            }
        }
    }
}

#[test]
fn evaluation_takes_running_statistics_as_constants() {
    let shape = Shape::of([3, 2, 2, CHANNELS]);
    let c = Shape::of([CHANNELS]);
    let mut g = Graph::new(ParameterLayout::default());
    let leaves = [("x", shape), ("mean", c), ("variance", c), ("scale", c), ("shift", c), ("d_y", shape)];
    let [x, mean, variance, scale, shift, d_y] = leaves.map(|(name, shape)| g.input(name, shape));
    let statistics = g.apply(RunningStatistics.into(), &[mean, variance]).unwrap();
    let normalise = Normalise { over: Over::Running, epsilon: EPSILON };
    let y = g.apply(normalise.into(), &[x, statistics, scale, shift]).unwrap();
    let gradients = differentiate(&mut g, y, d_y, &[x, scale, shift]).unwrap();
    for (name, id) in
        ["y", "statistics", "d_x", "d_scale", "d_shift"].iter().zip([vec![y, statistics], gradients].concat())
    {
        g.output(name, id);
    }
    let mut values: Values = leaves.iter().zip(0..).map(|(&(name, shape), i)| (name, drawn(i, shape.len()))).collect();
    values.get_mut("variance").unwrap().iter_mut().for_each(|variance| *variance = 0.5 + variance.abs());
    let of = |name: &str, e: usize| values[name][if values[name].len() == CHANNELS { e % CHANNELS } else { e }];
    let normalised = |e: usize| (of("x", e) - of("mean", e)) / (of("variance", e) + EPSILON).sqrt();
    let elements = 0..shape.len();
    let channel = |f: &dyn Fn(usize) -> f64| -> Vec<f64> {
        (0..CHANNELS).map(|c| elements.clone().filter(|e| e % CHANNELS == c).map(f).sum()).collect()
    };
    let slope = |e: usize| of("d_y", e) * of("scale", e) / (of("variance", e) + EPSILON).sqrt();
    let wanted = Values::from([
        ("y", elements.clone().map(|e| normalised(e) * of("scale", e) + of("shift", e)).collect()),
        ("d_x", elements.clone().map(slope).collect()),
        ("d_scale", channel(&|e| of("d_y", e) * normalised(e))),
        ("d_shift", channel(&|e| of("d_y", e))),
    ]);
    // One row is said to count: all do.
    check("f64", READ_BACK, &run(&Cpu::<f64>::new(), &g, &values, 1), &wanted);
    for gpu in gpus() {
        check("GPU", Tolerance::rounding(64), &run(&gpu, &g, &values, 1), &wanted);
    }
}

#[test]
fn what_has_no_meaning_or_no_gradient_is_refused() {
    let mut g = Graph::new(ParameterLayout::default());
    let x = g.input("x", Shape::of([4, 2, 2, 6]));
    let [scale, shift] = ["scale", "shift"].map(|name| g.input(name, Shape::of([6])));
    let mut error = |over| g.normalise(x, scale, shift, over, EPSILON).unwrap_err().to_string();
    assert_eq!(
        error(Over::Group(4)),
        "statistics: x has 6 channels in 4 groups: groups must fill the channels exactly"
    );
    assert!(error(Over::Batch { samples: 3 }).contains("x has 4 images, 3 an example"));
    assert!(error(Over::Running).contains("its statistics do not depend on x"));
    let over = Over::Batch { samples: 1 };
    let [y, statistics] = g.normalise(x, scale, shift, over, EPSILON).unwrap();
    let d_y = g.input("d_y", Shape::of([4, 2, 2, 6]));
    let alone = g.input("statistics", Shape::new(6, 2));
    let other = g.apply(Normalise { over, epsilon: EPSILON }.into(), &[x, alone, scale, shift]).unwrap();
    let error = differentiate(&mut g, other, d_y, &[alone]).unwrap_err().to_string();
    assert!(error.contains("normalise has no gradient: statistics have none of their own"), "{error}");
    let d_x = differentiate(&mut g, y, d_y, &[x]).unwrap()[0];
    let error = differentiate(&mut g, d_x, d_y, &[x]).unwrap_err().to_string();
    assert!(error.contains("the second derivative of a normalisation is not implemented"), "{error}");
    let update = UpdateRunning { momentum: 0.1, samples: 1, pixels: 4 };
    let error = g.update(update, &[scale, shift]).unwrap_err().to_string();
    assert_eq!(error, "update_running: takes one to 3 statistics, got 0");
    assert!(g.update(update, &[scale, shift, statistics]).is_ok());
}
