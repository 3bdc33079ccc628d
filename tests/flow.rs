//! The flow's graphs: what depends on what, gradients, and the same steps on every device. That its density is one, and that it draws
//! from it, is tested in `src/train/flow.rs`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{Check, Tolerance, gpu, scalars};
use vae_gpu::backend::cpu::{Cpu, CpuSession};
use vae_gpu::backend::gpu::GpuOptions;
use vae_gpu::backend::{Data, Device, ProgramId, Session, Values};
use vae_gpu::graph::{GRADIENTS, Graph, PARAMETERS};
use vae_gpu::models::{Batches, Flow, FlowConfig};
use vae_gpu::optim::Optimiser;
use vae_gpu::plan::{Options, compile};
use vae_gpu::rng::{Draw, Permutation, Stream};
use vae_gpu::step::Step;
use vae_gpu::tensor::{DType, Shape};

const EXAMPLES: usize = 10;
const ROWS: usize = 4;

fn flow(features: usize, layers: usize, condition: usize) -> Flow {
    Flow::new(FlowConfig { features, hidden: vec![7, 6], layers, condition }).unwrap()
}

/// Normal values of this deviation.
fn normals(count: usize, which: u32, deviation: f32) -> Vec<f32> {
    let mut values = vec![0.0; count];
    Draw { seed: 2, stream: Stream::Synthetic, step: 0 }.normals(which, &mut values);
    values.iter().map(|value| value * deviation).collect()
}

/// Its parameters, none of them 0.
fn parameters(flow: &Flow) -> Vec<f32> {
    let mut arena = normals(flow.layout().len(), 1, 0.3);
    flow.layout().clear_padding(&mut arena);
    arena
}

fn batches() -> Batches {
    Batches { condition: Some(1), ..Batches::new(0, EXAMPLES, DType::F32, ROWS) }
}

/// A step of the first update, three of the rows of which count.
fn step(index: u64) -> Step {
    let order = Permutation::new(3, 0, EXAMPLES as u32).keys();
    Step { index, rows: 3, seed: 3, order, scalars: scalars(1e-2, index + 1), ..Step::default() }
}

/// Vectors, or their conditions, as a session takes them.
fn set(values: &[f32]) -> Data<'_> {
    Data { shape: Shape::new(EXAMPLES, values.len() / EXAMPLES), values: Values::Reals(values) }
}

fn load(session: &mut dyn Session, graph: &Graph) -> ProgramId {
    session.load(compile(graph, Options::default()).unwrap()).unwrap()
}

#[test]
fn a_variable_depends_on_those_before_it_and_on_no_other() {
    for features in [1, 2, 3, 5, 9] {
        let flow = flow(features, 2, 0);
        let mut session = CpuSession::<f64>::new(flow.layout(), &[]);
        session.write_arena(PARAMETERS, &parameters(&flow)).unwrap();
        for layer in 0..2 {
            let program = load(&mut session, &flow.conditionals(layer, 1).unwrap());
            let mut gaussian = |x: &[f32]| {
                session.write_input(program, "x", x).unwrap();
                session.run(&[program], &[Step::default()]).unwrap();
                session.read_output(program, "gaussian").unwrap()
            };
            let x = normals(features, 2, 1.0);
            let (before, order) = (gaussian(&x), flow.order(layer));
            for (at, &moved) in order.iter().enumerate() {
                let mut x = x.clone();
                x[moved] += 3.0;
                let after = gaussian(&x);
                for (place, &e) in order.iter().enumerate() {
                    let changed = [e, features + e].map(|column| before[column] != after[column]);
                    // With few hidden units, each negative somewhere, not all that may depend does.
                    assert!(place > at || changed == [false; 2], "{features}, {layer}: {e} depends on {moved}");
                    let next = place == at + 1 && features <= 3;
                    assert!(!next || changed == [true; 2], "{features}, {layer}: {e} is blind to {moved}");
                }
            }
        }
        assert_eq!(flow.order(1), (0..features).rev().collect::<Vec<_>>());
    }
}

#[test]
fn the_loss_has_the_gradient_that_finite_differences_have() {
    let flow = flow(5, 3, 2);
    let data = normals(EXAMPLES * 5, 3, 1.0);
    let conditions = normals(EXAMPLES * 2, 4, 1.0);
    let sets = [set(&data), set(&conditions)];
    let mut session = CpuSession::<f64>::new(flow.layout(), &sets);
    let [graph, _] = flow.training(&batches(), &Optimiser::default()).unwrap();
    let program = load(&mut session, &graph);
    let mut loss_at = |arena: &[f32]| {
        session.write_arena(PARAMETERS, arena).unwrap();
        let loss = session.run(&[program], &[step(0)]).unwrap()[0][0];
        (loss, session.arena(GRADIENTS).unwrap().to_vec())
    };
    let start: Vec<f32> = parameters(&flow).iter().map(|value| (value * 65536.0).round() / 65536.0).collect();
    let (_, gradient) = loss_at(&start);
    let mut seen = 0;
    for &(id, _) in graph.gradients() {
        let parameter = flow.layout().get(id);
        for e in 0..parameter.shape.len() {
            let at = parameter.offset + e;
            let mut difference = |h: f32| {
                let mut loss = |by: f32| {
                    let mut arena = start.clone();
                    arena[at] += by;
                    loss_at(&arena).0
                };
                (loss(h) - loss(-h)) / (2.0 * f64::from(h))
            };
            let h = 1.0 / 4096.0;
            let difference = (4.0 * difference(h) - difference(2.0 * h)) / 3.0;
            let what = format!("{} element {e}", parameter.name);
            Tolerance { relative: 1e-6, absolute: 1e-8 }.check(&what, &[gradient[at]], &[difference]);
            seen += usize::from(gradient[at].abs() > 1e-3);
        }
    }
    assert!(seen > 100, "{seen} gradients are not 0");
}

#[test]
fn ten_steps_on_the_gpu_are_those_of_the_f64_reference() {
    let Some(device) = gpu(GpuOptions::default()) else { return };
    let flow = flow(9, 3, 4);
    let data = normals(EXAMPLES * 9, 3, 1.0);
    let conditions = normals(EXAMPLES * 4, 4, 1.0);
    let sets = [set(&data), set(&conditions)];
    let optimiser = Optimiser { clip: Some(5.0), ..Optimiser::default() };
    let train = |device: &dyn Device| {
        let mut session = device.session(flow.layout(), &sets).unwrap();
        session.write_arena(PARAMETERS, &parameters(&flow)).unwrap();
        let graphs = flow.training(&batches(), &optimiser).unwrap();
        let programs = graphs.map(|graph| load(&mut *session, &graph));
        let steps: Vec<Step> = (0..10).map(step).collect();
        let losses = session.run(&programs, &steps).unwrap().values().to_vec();
        (losses, session.read_arena(PARAMETERS).unwrap())
    };
    let (wanted, found) = (train(&Cpu::<f64>::new()), train(&device));
    Tolerance { relative: 1e-5, absolute: 1e-5 }.check("losses", &found.0, &wanted.0);
    assert!(wanted.0[9] < wanted.0[0], "{:?}", wanted.0);
    let doubles = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<_>>();
    Tolerance { relative: 1e-4, absolute: 1e-4 }.check("parameters", &doubles(&found.1), &doubles(&wanted.1));
}
