//! Fused plans: how few dispatches they have, and that on a GPU and on the CPU they compute what the unfused
//! plan computes in f64, at sizes around every tile edge.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{Check, Tolerance, gpu, scalars};
use vae_gpu::backend::cpu::{Cpu, CpuSession};
use vae_gpu::backend::gpu::{Gpu, GpuOptions};
use vae_gpu::backend::{Data, Device, Session, Values};
use vae_gpu::graph::{GRADIENTS, Graph, PARAMETERS, ParameterLayout, differentiate};
use vae_gpu::models::{Batches, Layer, Loss, Model, ModelConfig};
use vae_gpu::ops::{
    Activation, Algorithm, BatchMean, BiasActivation, Constant, DeviceProfile, Epilogue, Op, Pixels, STORAGE_BUFFERS,
    SquaredError, Transpose, TuningTable,
};
use vae_gpu::optim::Optimiser;
use vae_gpu::plan::{Dispatch, Fusion, Options, compile, lower};
use vae_gpu::rng::Permutation;
use vae_gpu::step::Step;
use vae_gpu::tensor::{DType, Shape};

const EXAMPLES: usize = 70;

#[derive(Clone, Copy, Debug)]
struct Size {
    features: usize,
    hidden: usize,
    latent: usize,
    batch: usize,
}

/// Around the tiles of every kernel (4, 8, 16, 64), and small.
const SIZES: [Size; 5] = [
    Size { features: 65, hidden: 63, latent: 3, batch: 17 },
    Size { features: 64, hidden: 16, latent: 8, batch: 64 },
    Size { features: 131, hidden: 17, latent: 9, batch: 65 },
    Size { features: 1, hidden: 1, latent: 1, batch: 1 },
    Size { features: 7, hidden: 130, latent: 2, batch: 15 },
];

fn model(size: Size, loss: Loss) -> Model {
    let Size { features, hidden, latent, .. } = size;
    let [encoder, decoder] = [hidden; 2].map(|size| Layer::dense(&[size], Activation::Relu));
    Model::new(ModelConfig { encoder, decoder, latent, loss, ..ModelConfig::vae(features) }).unwrap()
}

fn training(model: &Model, size: Size, dtype: DType, pixels: Pixels) -> Graph {
    let batches = Batches { pixels, ..Batches::new(0, EXAMPLES, dtype, size.batch) };
    model.gradients(&batches).unwrap().remove(0).graph
}

/// A small training step: its gradients, clipped where there is a norm, and their update.
pub(crate) fn small(clip: Option<f64>) -> [Graph; 2] {
    let size = SIZES[0];
    let batches = Batches::new(0, EXAMPLES, DType::U8, size.batch);
    let graphs = model(size, Loss::Bce).training(&batches, &Optimiser { clip, ..Optimiser::default() }).unwrap();
    graphs.try_into().expect("one objective")
}

/// A step whose batch is short.
fn step(size: Size) -> Step {
    let rows = (size.batch as u32 * 3).div_ceil(4);
    let order = Permutation::new(3, 0, EXAMPLES as u32).keys();
    let first = EXAMPLES as u32 - rows;
    Step { index: 5, first, rows, seed: 3, order, scalars: scalars(1e-3, 1), ..Step::default() }
}

/// The gradients of one step, and what it recorded.
fn one_step(session: &mut dyn Session, model: &Model, graph: &Graph, size: Size, fuse: Fusion) -> (Vec<f64>, Vec<f64>) {
    session.write_arena(PARAMETERS, &model.layout().initial(1)).unwrap();
    let program = session.load(compile(graph, Options::new(fuse)).unwrap()).unwrap();
    let metrics = session.run(&[program], &[step(size)]).unwrap()[0].to_vec();
    let gradients = session.read_arena(GRADIENTS).unwrap().into_iter().map(f64::from).collect();
    (gradients, metrics)
}

/// This loop for each product.
fn every_product(graph: &Graph, variant: Algorithm) -> TuningTable {
    let plan = compile(graph, Options::default()).unwrap();
    let size = |dispatch: &Dispatch| match &dispatch.op {
        Op::Matmul(op) => {
            let (m, n, k) = op.extents(dispatch.inputs[0].shape, dispatch.inputs[1].shape);
            Some(([m, n, k], variant))
        }
        _ => None,
    };
    plan.dispatches.iter().filter_map(size).collect()
}

#[test]
fn a_step_of_the_standard_model_is_ten_dispatches() {
    // Nine for the gradients, one for their update.
    let (layout, ids) = (model(SIZES[0], Loss::Bce).layout().clone(), model(SIZES[0], Loss::Bce).layout().ids());
    let update = Optimiser::default().update(&layout, &ids.collect::<Vec<_>>()).unwrap();
    assert_eq!(compile(&update, Options::default()).unwrap().dispatches.len(), 1);
    let size = Size { features: 784, hidden: 400, latent: 20, batch: 64 };
    for loss in [Loss::Bce, Loss::ContinuousBernoulli, Loss::Mse] {
        let model = model(size, loss);
        let graph = training(&model, size, DType::U8, Pixels::Grey);
        let plan = compile(&graph, Options::new(Fusion::All)).unwrap();
        assert_eq!(plan.groups().count(), 9, "{plan}");
        // The pairs, with a bias's gradient each, and the two stages of the record with two of them.
        let shared: Vec<usize> = plan.groups().map(<[_]>::len).collect();
        assert_eq!(shared, [1, 1, 1, 1, 1, 4, 4, 3, 2], "{plan}");
        // Products of too few tiles for hardware are shared out along k, and five more dispatches add what belongs together. Where
        // a dispatch may bind as few buffers as WebGPU promises, the record's stages go by themselves.
        for (storage_buffers, dispatches) in [(16, 14), (STORAGE_BUFFERS, 16)] {
            let profile = DeviceProfile { storage_buffers, ..DeviceProfile::default() };
            let recording = lower(&plan, &profile).unwrap();
            assert_eq!((recording.prologue.len(), recording.dispatches.len()), (1, dispatches), "{recording}");
            let most = recording.dispatches.iter().map(|dispatch| dispatch.bindings.len()).max().unwrap();
            assert!(most <= storage_buffers, "{recording}");
        }
        let products = plan.dispatches.iter().filter(|dispatch| matches!(dispatch.op, Op::Matmul(_))).count();
        assert_eq!(products, 11);
    }
}

/// A layer's mean squared error and the gradients of its weight and bias, as outputs; the layer by the builder or as one op.
fn scored_layer(activation: Activation, built: bool) -> Graph {
    let mut g = Graph::new(ParameterLayout::default());
    let x = g.input("x", Shape::new(5, 7));
    let [weight, bias] = [("w", Shape::new(6, 7)), ("b", Shape::of([6]))].map(|(name, shape)| g.input(name, shape));
    let target = g.input("target", Shape::new(5, 6));
    let sum = g.matmul(x, weight, Transpose::B).unwrap(); // [5, 6]
    let y = match built {
        true => g.bias_activation(sum, bias, activation),
        false => g.apply(BiasActivation { activation }.into(), &[sum, bias]),
    };
    let losses = g.apply(SquaredError.into(), &[y.unwrap(), target]).unwrap(); // [5, 1]
    let mean = g.apply(BatchMean.into(), &[losses]).unwrap(); // [1, 1]
    let one = g.apply(Constant::new(1.0, Shape::SCALAR).into(), &[]).unwrap();
    let gradients = differentiate(&mut g, mean, one, &[weight, bias]).unwrap();
    for (name, id) in ["mean", "d_w", "d_b"].iter().zip([vec![mean], gradients].concat()) {
        g.output(name, id);
    }
    g
}

#[test]
fn an_activation_that_keeps_its_argument_is_not_scored_in_an_epilogue() {
    for (activation, built) in Activation::ALL.into_iter().flat_map(|one| [(one, true), (one, false)]) {
        let graph = scored_layer(activation, built);
        let [unfused, fused] = [Fusion::None, Fusion::All].map(|fuse| {
            let plan = compile(&graph, Options::new(fuse)).unwrap();
            let scores = |dispatch: &Dispatch| match &dispatch.op {
                Op::Matmul(op) => matches!(op.epilogue, Epilogue::Likelihood { .. }),
                _ => false,
            };
            let scored = plan.dispatches.iter().any(scores);
            assert_eq!(scored, fuse == Fusion::All && !activation.keeps_argument(), "{activation:?}\n{plan}");
            let mut session = CpuSession::<f64>::new(graph.layout(), &[]);
            let inputs: Vec<(String, usize)> =
                plan.inputs.iter().map(|(name, view)| (name.clone(), view.shape.len())).collect();
            let program = session.load(plan).unwrap();
            for (name, len) in inputs {
                let values: Vec<f32> = (0..len).map(|i| ((i + name.len()) as f32 * 1.7).sin()).collect();
                session.write_input(program, &name, &values).unwrap();
            }
            session.run(&[program], &[Step { rows: 4, ..Step::default() }]).unwrap();
            ["mean", "d_w", "d_b"].map(|name| session.output(program, name).unwrap().to_vec()).concat()
        });
        Tolerance { relative: 1e-12, absolute: 1e-12 }.check(&format!("{activation:?}"), &fused, &unfused);
    }
}

#[test]
fn drawn_pixels_are_written_once() {
    let size = SIZES[0];
    let drawn = Pixels::Bernoulli(vae_gpu::rng::Stream::Pixels);
    let graph = training(&model(size, Loss::Bce), size, DType::U8, drawn);
    let plan = compile(&graph, Options::new(Fusion::All)).unwrap();
    let gathers = plan.dispatches.iter().filter(|dispatch| matches!(dispatch.op, Op::Gather(_))).count();
    assert_eq!((gathers, plan.groups().count()), (1, 10), "{plan}");
}

#[test]
fn fused_plans_compute_what_the_unfused_one_does() {
    let gpus: Vec<Gpu> =
        [true, false].iter().filter_map(|&checks| gpu(GpuOptions { checks, ..GpuOptions::default() })).collect();
    let bytes: Vec<u8> = (0..EXAMPLES * 131).map(|i| (i * 37 % 256) as u8).collect();
    let reals: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) / 256.0).collect();
    for (at, size) in SIZES.into_iter().enumerate() {
        for (turn, loss) in [Loss::Bce, Loss::Mse, Loss::ContinuousBernoulli].into_iter().enumerate() {
            let (dtype, pixels) = match at % 3 {
                0 => (DType::U8, Pixels::Grey),
                1 => (DType::F32, Pixels::Grey),
                _ => (DType::U8, Pixels::Threshold),
            };
            let shape = Shape::new(EXAMPLES, size.features);
            let values = match dtype {
                DType::U8 => Values::Bytes(&bytes[..shape.len()]),
                DType::F32 | DType::F16 | DType::U32 => Values::Reals(&reals[..shape.len()]),
            };
            let data = [Data { shape, values }];
            let model = model(size, loss);
            let graph = training(&model, size, dtype, pixels);
            let mut exact = CpuSession::<f64>::new(model.layout(), &data);
            let wanted = one_step(&mut exact, &model, &graph, size, Fusion::None);
            let check = |device: &dyn Device, fuse: Fusion, tolerance: Tolerance| {
                let mut session = device.session(model.layout(), &data).unwrap();
                let got = one_step(session.as_mut(), &model, &graph, size, fuse);
                let what = format!("{} {fuse:?} {size:?} {loss:?}", device.name());
                tolerance.check(&format!("{what}: gradients"), &got.0, &wanted.0);
                tolerance.check(&format!("{what}: metrics"), &got.1, &wanted.1);
            };
            for fuse in [Fusion::Epilogues, Fusion::All] {
                // The arenas are read back as f32.
                let rounding = f64::from(f32::EPSILON);
                check(&Cpu::<f64>::new(), fuse, Tolerance { relative: rounding, absolute: 1e-12 });
                check(&Cpu::<f32>::new(), fuse, Tolerance::rounding(size.features + size.batch));
            }
            // Ends alone are run by the tests of training; a kernel's pipeline takes some tenths of a second here.
            // The adapter's own loop, and at two sizes the others, of which one has factors of vectors: a pipeline of
            // theirs takes a second where this runs.
            let products = match (at, turn) {
                (0 | 1, 0) => every_product(&graph, Algorithm::Tiled),
                (0 | 1, _) => every_product(&graph, Algorithm::Split),
                _ => TuningTable::new(),
            };
            let looped = |gpu: &Gpu| gpu.with_tuning(products);
            if let Some(gpu) = gpus.get(at % 2).and_then(looped) {
                check(&*gpu, Fusion::All, Tolerance::rounding(size.features + size.batch));
            }
        }
    }
}
