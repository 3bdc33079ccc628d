//! Random models: a training step of each, at random sizes, fused and not, with every loop of products, with checks and
//! without, on a GPU against f64. With the random graphs, rung 6 of the ladder.
//!
//! `VAE_GPU_MODELS=400` tries as many; `VAE_GPU_MODEL=17` tries the one of that number.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{Check, Draws, Tolerance, gpu, tries};
use std::collections::BTreeMap;
use vae_gpu::backend::cpu::{Cpu, interpret};
use vae_gpu::backend::gpu::{Gpu, GpuOptions};
use vae_gpu::backend::{Data, Device, ProgramId, Values};
use vae_gpu::graph::{GRADIENTS, Graph, PARAMETERS, Parameter, Source};
use vae_gpu::models::{
    Batches, Capability, Condition, Deviation, Gradients, Initial, Layer, Loss, Model, ModelConfig, ModelKind,
    Normalisation, Output, Prior, UpsampledSize,
};
use vae_gpu::ops::{
    Activation, Algorithm, Augment, Augmentation, DECAY, Fill, Interpolation, Noise, Op, Pixels, Pooling, SECOND_SCALE,
    STEP_SIZE, TuningTable, Window2d,
};
use vae_gpu::optim::Optimiser;
use vae_gpu::plan::{Fusion, Options, compile};
use vae_gpu::rng::{Permutation, Stream};
use vae_gpu::step::Step;
use vae_gpu::tensor::{DType, Shape};

/// Units of a layer, pixels and rows at most.
const LARGEST: usize = 300;

/// A model and its training step.
#[derive(Debug)]
struct Random {
    model: Model,
    batches: Batches,
    clip: Option<f64>,
    step: Step,
    /// What it is trained on, as it is stored.
    bytes: Vec<u8>,
    reals: Vec<f32>,
    classes: Vec<u8>,
    numbers: Vec<f32>,
    start: Vec<f32>,
    products: Vec<Algorithm>,
}

/// A size: small ones as often as any.
fn size(draws: &mut Draws) -> usize {
    let most = draws.one(&[9, LARGEST]);
    draws.between(1, most)
}

/// This loss, or where the latent's size is even one that allows the same options.
fn loss(drawn: Loss, config: &ModelConfig) -> Loss {
    match drawn {
        Loss::Bce if config.model.has(Capability::Encoder) && config.latent.is_multiple_of(2) => {
            Loss::ContinuousBernoulli
        }
        Loss::Gaussian if config.latent.is_multiple_of(2) => Loss::DiscretisedLogistic,
        drawn => drawn,
    }
}

fn config(draws: &mut Draws, image: [usize; 3]) -> ModelConfig {
    // A contractive model takes a pass for each of its code's dimensions.
    let model = draws.one(ModelKind::ALL);
    let latent = if model == ModelKind::Contractive { draws.between(1, 5) } else { size(draws).min(64) };
    let convolutional = draws.below(3) == 0;
    let base = ModelConfig { model, image, latent, ..ModelConfig::vae(1) };
    // Options that do not belong to the model, or to each other, are drawn again.
    loop {
        let activation = draws.one(&Activation::ALL);
        let mut layers = || {
            let sizes: Vec<usize> = (0..draws.below(3)).map(|_| size(draws)).collect();
            Layer::dense(&sizes, activation)
        };
        let (mut encoder, mut decoder) = (layers(), layers());
        if convolutional {
            encoder.splice(0..0, convolutions(draws, activation));
            decoder.extend(transposed(draws, image, activation));
        }
        let config = ModelConfig {
            encoder,
            decoder,
            code_activation: draws.one(&Activation::ALL),
            loss: loss(draws.one(&[Loss::Bce, Loss::Mse, Loss::Gaussian]), &base),
            output: draws.one(&[Output::Sigmoid, Output::Identity]),
            deviation: draws.one(&[Deviation::Logvar, Deviation::Softplus]),
            init: draws.one(&[Initial::Linear, Initial::Glorot]),
            samples: draws.one(&[1, 2, 5]),
            free_bits: draws.one(&[0.0, 0.01]),
            penalty: draws.one(&[None, Some("l1:0.25"), Some("l2:0.25")]).map(|text| text.parse().unwrap()),
            ..base.clone()
        };
        if config.validate().is_ok() {
            return config;
        }
    }
}

/// One or two convolutions that an image goes through first.
fn convolutions(draws: &mut Draws, activation: Activation) -> Vec<Layer> {
    let mut layers = Vec::new();
    for _ in 0..draws.between(1, 2) {
        let channels = draws.between(1, 9);
        layers.push(Layer::Conv(channels, window(draws)));
        let norm = draws.one(&[
            None,
            Some(Normalisation::Batch),
            Some(Normalisation::Group(1)),
            Some(Normalisation::Group(channels)),
        ]);
        layers.extend(norm.map(Layer::Norm));
        layers.push(Layer::Activation(activation));
        match draws.below(6) {
            0 => layers.push(Layer::Pool(draws.one(&[Pooling::Max, Pooling::Average]), Window2d::new(2).stride(2))),
            1 => layers.push(Layer::Res(
                draws.between(1, 9),
                activation,
                norm.filter(|norm| *norm == Normalisation::Batch),
            )),
            2 => layers.push(Layer::Upsample(
                draws.one(&[Interpolation::Nearest, Interpolation::Bilinear]),
                UpsampledSize::To([draws.between(1, 9), draws.between(1, 9)]),
            )),
            _ => {}
        }
    }
    layers.push(Layer::Flatten);
    layers
}

/// A dense layer to a small image, and the transposed convolution, or one that keeps the size, that gives a whole one.
fn transposed(draws: &mut Draws, [height, width, channels]: [usize; 3], activation: Activation) -> Vec<Layer> {
    let (window, inner) = (window(draws), draws.between(1, 9));
    let small = [height, width].map(|extent| window.positions(extent));
    let mut layers = Layer::dense(&[small[0] * small[1] * inner], activation);
    layers.extend([Layer::Unflatten(inner, small), Layer::ConvTranspose(channels, window, Some([height, width]))]);
    if draws.below(2) == 0 {
        let same = Window2d::new(3).padding(1);
        layers.extend([Layer::Activation(activation), Layer::Conv(channels, same)]);
    }
    layers
}

fn window(draws: &mut Draws) -> Window2d {
    let kernel = draws.between(1, 5);
    let window = Window2d::new(kernel).stride(draws.between(1, 3)).dilation(draws.between(1, 2));
    window.padding(draws.below(window.reach()))
}

/// A third of the models are given classes or numbers; of the others some with a posterior learn their prior.
fn beside(draws: &mut Draws, config: ModelConfig, examples: usize) -> (ModelConfig, Vec<u8>) {
    let classes = draws.between(1, 12);
    let prior = Prior::Vamp(draws.between(1, 9));
    match draws.below(6) {
        0 => {
            let bytes = (0..examples)
                .flat_map(|i| (0..classes).map(move |class| if class == i * 7 % classes { 255 } else { 0 }));
            let bytes = bytes.collect();
            (ModelConfig { condition: Some(Condition::Class(classes)), ..config }, bytes)
        }
        1 => (ModelConfig { condition: Some(Condition::Number), ..config }, Vec::new()),
        2 | 3 if ModelConfig { prior, ..config.clone() }.validate().is_ok() => {
            (ModelConfig { prior, ..config }, Vec::new())
        }
        _ => (config, Vec::new()),
    }
}

impl Random {
    fn new(number: u32) -> Random {
        let mut draws = Draws::new(number);
        let (height, width, channels) = (draws.between(1, 17), draws.between(1, 17), draws.one(&[1, 1, 3]));
        let augmentation = Augmentation { shift: draws.below(height.max(width)) as u32, flip: draws.below(2) == 0 };
        let augment = Augment { augmentation, height, width, channels, stream: Stream::Augmentation };
        let augment = Some(augment).filter(|_| draws.below(4) == 0);
        let any = if augment.is_none() && draws.below(2) == 0 { Some([1, 1, size(&mut draws)]) } else { None };
        let config = config(&mut draws, any.unwrap_or([height, width, channels]));
        let features = config.features();
        let examples = draws.between(1, LARGEST + 50);
        let rows = draws.between(1, examples.min(LARGEST / config.samples));
        let noise = [None, Some(Noise::Gaussian { deviation: 0.25 }), Some(Noise::Mask { fraction: 0.25 })];
        let batches = Batches {
            data: 0,
            condition: Some(1),
            examples,
            dtype: draws.one(&[DType::U8, DType::F32]),
            rows,
            streamed: false,
            pixels: draws.one(&[Pixels::Grey, Pixels::Threshold, Pixels::Bernoulli(Stream::Pixels)]),
            augment,
            noise: draws.one(&[noise[0], noise[0], noise[1], noise[2]]),
        };
        let seed = draws.bits();
        let rows = draws.between(1, rows) as u32;
        let step = Step {
            index: (u64::from(draws.bits()) << 32) + u64::from(draws.bits()),
            first: draws.below(examples - rows as usize + 1) as u32,
            rows,
            seed,
            order: Permutation::new(seed, 3, examples as u32).keys(),
            // Adam's step is as large as the rate whatever the gradient's size, so a gradient of 0 that rounding makes
            // positive would move a parameter; parameters only decay here.
            scalars: [("beta", 0.625), (STEP_SIZE, 0.0), (SECOND_SCALE, 2.0), (DECAY, 0.875)].into(),
            ..Step::default()
        };
        let (mut bytes, mut reals) = (Vec::new(), Vec::new());
        for _ in 0..examples * features {
            match batches.dtype {
                DType::U8 => bytes.push(draws.value(Fill::Bytes) as u8),
                DType::F32 | DType::F16 | DType::U32 => reals.push(draws.value(Fill::Reals)),
            }
        }
        let (config, classes) = beside(&mut draws, config, examples);
        let numbers = (0..examples).map(|i| (i * 5 % 9) as f32 / 4.0 - 1.0).collect();
        let model = Model::new(config).unwrap();
        let clip = draws.one(&[None, Some(0.05)]);
        let products = (0..7).map(|_| draws.one(&Algorithm::ALL)).collect();
        let start = model.layout().initial(seed);
        Random { model, batches, clip, step, bytes, reals, classes, numbers, start, products }
    }

    fn data(&self) -> Vec<Data<'_>> {
        let shape = Shape::new(self.batches.examples, self.model.config().features());
        let values = match self.batches.dtype {
            DType::U8 => Values::Bytes(&self.bytes),
            DType::F32 | DType::F16 | DType::U32 => Values::Reals(&self.reals),
        };
        let mut all = vec![Data { shape, values }];
        let width = self.model.config().condition_width();
        match self.model.config().condition {
            None => {}
            Some(Condition::Class(_)) => {
                all.push(Data { shape: Shape::new(self.batches.examples, width), values: Values::Bytes(&self.classes) })
            }
            Some(Condition::Number) => {
                all.push(Data { shape: Shape::new(self.batches.examples, width), values: Values::Reals(&self.numbers) })
            }
        }
        all
    }

    fn graphs(&self) -> Vec<Graph> {
        self.model.training(&self.batches, &Optimiser { clip: self.clip, ..Optimiser::default() }).unwrap()
    }

    /// Each product's loop.
    fn loops(&self) -> TuningTable {
        let mut products = TuningTable::new();
        for graph in self.graphs() {
            for dispatch in compile(&graph, Options::new(Fusion::None)).unwrap().dispatches {
                let inputs: Vec<Shape> = dispatch.inputs.iter().map(|view| view.shape).collect();
                if let Some(size) = dispatch.op.tuned_as(&inputs) {
                    let next = self.products[products.len() % self.products.len()];
                    products.entry(size).or_insert(next);
                }
            }
        }
        products
    }

    /// Whether a value is so near a corner of its activation that rounding may take it across, where gradients jump.
    fn has_a_corner(&self) -> bool {
        let start: Vec<f64> = self.start.iter().map(|&value| f64::from(value)).collect();
        let inputs = std::collections::HashMap::new();
        self.model.gradients(&self.batches).unwrap().iter().any(|Gradients { graph, .. }| {
            let values = interpret::<f64>(graph, &self.step, &start, &self.data(), &inputs).unwrap();
            graph.nodes().iter().any(|node| match &node.source {
                Source::Op(Op::BiasActivation(op))
                    if matches!(op.activation, Activation::Relu | Activation::LeakyRelu) =>
                {
                    let [x, bias] = [0, 1].map(|at| &values[graph.ids().position(|id| id == node.inputs[at]).unwrap()]);
                    x.iter().zip(bias.iter().cycle()).any(|(x, bias)| (x + bias).abs() < 4.0 * f64::from(f32::EPSILON))
                }
                _ => false,
            })
        })
    }

    /// What a step leaves: each parameter, its gradient and moments by name, and what was recorded.
    fn run(&self, device: &dyn Device, fuse: Fusion) -> BTreeMap<String, Vec<f64>> {
        let layout = self.model.layout();
        let mut session = device.session(layout, &self.data()).unwrap();
        session.write_arena(PARAMETERS, &self.start).unwrap();
        let load = |graph| session.load(compile(graph, Options::new(fuse)).unwrap()).unwrap();
        let programs: Vec<ProgramId> = self.graphs().iter().map(load).collect();
        let metrics = session.run(&programs, &[self.step]).unwrap()[0].to_vec();
        let mut left = BTreeMap::from([("metrics".to_owned(), metrics)]);
        for arena in [PARAMETERS, GRADIENTS, "adam.first", "adam.second"] {
            let values = session.read_arena(arena).unwrap();
            for parameter in layout.parameters() {
                let values = &values[parameter.offset..][..parameter.shape.len()];
                let name = format!("{arena}: {}", parameter.name);
                left.insert(name, values.iter().map(|&value| f64::from(value)).collect());
            }
        }
        left
    }
}

#[test]
fn random_models_agree_with_the_reference() {
    let open = |checks| gpu(GpuOptions { checks, ..GpuOptions::default() });
    let (Some(checked), Some(unchecked)) = (open(true), open(false)) else { return };
    let only: Option<u32> = std::env::var("VAE_GPU_MODEL").ok().map(|number| number.parse().unwrap());
    let numbers = only.map_or(0..tries("VAE_GPU_MODELS", 20), |number| number..number + 1);
    let count = numbers.len();
    let mut skipped = 0;
    for number in numbers {
        let random = Random::new(number);
        if random.has_a_corner() {
            skipped += 1;
            continue;
        }
        let exact = random.run(&Cpu::<f64>::new(), Fusion::None);
        let near = random.run(&Cpu::<f32>::new(), Fusion::Epilogues);
        let mut device: Gpu = if number % 2 == 0 { checked.clone() } else { unchecked.clone() };
        device.set_tuning(random.loops());
        let fuse = [Fusion::All, Fusion::All, Fusion::None, Fusion::Epilogues][number as usize % 4];
        let got = random.run(&device, fuse);
        for (name, wanted) in &exact {
            let what = format!("model {number}, {fuse:?}: {name} of {:?}", random.model.config());
            let config = random.model.config();
            let extent = |parameter: &Parameter| parameter.shape.len() / parameter.shape.extents()[0];
            let layers: usize = random.model.layout().parameters().iter().map(extent).sum();
            let terms = layers + config.features() + random.batches.rows;
            Tolerance::rounding_among(terms, wanted).check(&what, &near[name], wanted);
            let mut tolerance = Tolerance::as_near(&near[name], wanted);
            if wanted.len() < 8 {
                // So few may all be near by luck.
                let largest = wanted.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
                tolerance.absolute = tolerance.absolute.max(terms as f64 * f64::from(f32::EPSILON) * largest);
            }
            tolerance.check(&what, &got[name], wanted);
        }
    }
    eprintln!("{count} models, {skipped} left out for a value at a corner");
    assert!(10 * skipped <= count, "{skipped} of {count} models were left out");
}
