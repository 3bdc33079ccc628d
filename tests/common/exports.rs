//! Models to export, each option that changes a network at least once, and what this crate computes with them.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test uses its own part, and fails by panicking"
)]

use vae_gpu::backend::{Device, cpu::Cpu};
use vae_gpu::config::{TrainConfig, Training};
use vae_gpu::data::{Fingerprint, ImageSize, Schema};
use vae_gpu::graph::{Graph, PARAMETERS};
use vae_gpu::models::{Deviation, Layer, Loss, Model, ModelConfig, ModelKind, Output};
use vae_gpu::ops::Activation;
use vae_gpu::plan::{Options, compile};
use vae_gpu::rng::{Draw, Stream};
use vae_gpu::step::Step;
use vae_gpu::train::Checkpoint;
use vae_gpu::train::checkpoint::{Header, TrainingState};

pub const FEATURES: usize = 12;
pub const LATENT: usize = 3;
/// Images and codes that are compared.
pub const COUNT: usize = 100;

/// The models, by what is special about each.
pub fn models() -> Vec<(String, ModelConfig)> {
    let with = |activation| ModelConfig {
        image: [FEATURES / 4, 4, 1],
        encoder: Layer::dense(&[9, 7], activation),
        decoder: Layer::dense(&[8], activation),
        latent: LATENT,
        ..ModelConfig::vae(FEATURES)
    };
    let base = with(Activation::Relu);
    let of = |model| ModelConfig { model, ..base.clone() };
    let softplus = ModelConfig { deviation: Deviation::Softplus, ..base.clone() };
    let mut models = vec![
        ("vae, mse".to_owned(), ModelConfig { loss: Loss::Mse, ..base.clone() }),
        ("vae, continuous bernoulli".to_owned(), ModelConfig { loss: Loss::ContinuousBernoulli, ..base.clone() }),
        ("vae, discretised logistic".to_owned(), ModelConfig { loss: Loss::DiscretisedLogistic, ..base.clone() }),
        ("vae, gaussian".to_owned(), ModelConfig { loss: Loss::Gaussian, output: Output::Identity, ..base.clone() }),
        ("vae, no hidden layer".to_owned(), ModelConfig { encoder: vec![], decoder: vec![], ..base.clone() }),
        ("vae, softplus deviation".to_owned(), softplus.clone()),
        ("iwae, softplus deviation".to_owned(), ModelConfig { model: ModelKind::Iwae, samples: 5, ..softplus }),
        ("iwae".to_owned(), ModelConfig { samples: 5, ..of(ModelKind::Iwae) }),
        ("collapsed".to_owned(), of(ModelKind::Collapsed)),
        ("contractive".to_owned(), of(ModelKind::Contractive)),
        ("gan".to_owned(), of(ModelKind::Gan)),
        ("gan, identity".to_owned(), ModelConfig { output: Output::Identity, ..of(ModelKind::Gan) }),
    ];
    let layers = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    for (what, image, encoder, decoder) in [
        (
            "grey",
            [FEATURES / 4, 4, 1],
            ["conv 5 k3 s2", "relu", "conv 7", "tanh"],
            vec!["dense 16", "relu", "unflatten 4 2x2", "conv-transpose 5 k3 s2 3x4", "relu", "conv 1"],
        ),
        (
            "colour",
            [FEATURES / 6, 2, 3],
            ["conv 4 k2 p1", "flatten", "dense 6", "relu"],
            vec!["unflatten 3 1x1", "conv-transpose 3 k3 s2 2x2"],
        ),
    ] {
        let (encoder, decoder) = (layers(&encoder), layers(&decoder));
        let convolutional = ModelConfig { image, encoder, decoder, ..base.clone() };
        models.push((format!("vae, convolutional, {what}"), convolutional.clone()));
        models.push((
            format!("vae, continuous bernoulli, {what}"),
            ModelConfig { loss: Loss::ContinuousBernoulli, ..convolutional.clone() },
        ));
        models.push((format!("gan, convolutional, {what}"), ModelConfig { model: ModelKind::Gan, ..convolutional }));
    }
    for activation in Activation::ALL {
        models.push((format!("vae, {activation:?}"), with(activation)));
        let code_activation = activation;
        models.push((format!("ae, code {activation:?}"), ModelConfig { code_activation, ..of(ModelKind::Ae) }));
    }
    models
}

/// The model at its first weights, as a checkpoint.
pub fn checkpoint(model: &ModelConfig) -> Checkpoint {
    let layout = Model::new(model.clone()).unwrap().layout().clone();
    let train = Training::of(&TrainConfig::default()).unwrap();
    let state = TrainingState { step: 10, epoch: 1, best_test_loss: 1.0, best_epoch: 1, within: None };
    let [height, width, channels] = model.image;
    let schema = Schema::new(ImageSize { height, width, channels }, true);
    let header = Header::new(model.clone(), train, state, schema, Fingerprint::default());
    let moments = vec![0.25; layout.len()];
    Checkpoint { header, parameters: layout.initial(3), optimiser: vec![moments.clone(), moments] }
}

/// `[COUNT, cols]`: pixels in [0, 1), or normal codes.
pub fn values(cols: usize) -> Vec<f32> {
    let draw = Draw { seed: 4, stream: Stream::Synthetic, step: 0 };
    let at = |i: usize| match cols {
        LATENT => draw.normal(0, i as u32),
        _ => draw.uniform(0, i as u32),
    };
    (0..COUNT * cols).map(at).collect()
}

/// What this crate computes: the output `output` of a graph of [`COUNT`] rows whose one input is `input`.
pub fn ours(checkpoint: &Checkpoint, graph: &Graph, input: &str, values: &[f32], output: &str) -> Vec<f32> {
    let mut session = Cpu::<f32>::new().session(graph.layout(), &[]).unwrap();
    session.write_arena(PARAMETERS, &checkpoint.parameters).unwrap();
    let program = session.load(compile(graph, Options::default()).unwrap()).unwrap();
    session.write_input(program, input, values).unwrap();
    session.run(&[program], &[Step { rows: COUNT as u32, ..Step::default() }]).unwrap();
    session.read_output(program, output).unwrap()
}

/// A network of a model: its file, the cols of its input, and by the name that each output has in the file what it holds.
pub struct Network {
    pub file: &'static str,
    pub input: &'static str,
    pub cols: usize,
    pub outputs: Vec<(&'static str, Vec<f32>)>,
}

/// The networks that a model has, run on [`values`].
pub fn networks(checkpoint: &Checkpoint) -> Vec<Network> {
    let model = Model::new(checkpoint.header.model.clone()).unwrap();
    let (kind, deviation) = (model.config().model, model.config().deviation);
    let run = |graph: &Graph, input, cols, output| ours(checkpoint, graph, input, &values(cols), output);
    let image = |graph: &Graph, output| run(graph, "x", FEATURES, output);
    let decoded = run(&model.decoding(COUNT).unwrap(), "z", LATENT, "mean");
    let decoder = Network { file: "decoder.onnx", input: "code", cols: LATENT, outputs: vec![("image", decoded)] };
    let (file, outputs) = match kind {
        ModelKind::Gan => {
            let logits = image(&model.discrimination(COUNT).unwrap(), "logit");
            ("discriminator.onnx", vec![("logit", logits)])
        }
        ModelKind::Vae | ModelKind::Iwae => {
            let graph = model.encoding(COUNT).unwrap();
            let logvars = image(&graph, "logvar");
            let spread = match deviation {
                Deviation::Logvar => ("logvar", logvars),
                Deviation::Softplus => ("deviation", logvars.iter().map(|logvar| (0.5 * logvar).exp()).collect()),
            };
            ("encoder.onnx", vec![("mean", image(&graph, "latent")), spread])
        }
        _ => ("encoder.onnx", vec![("code", image(&model.encoding(COUNT).unwrap(), "latent"))]),
    };
    vec![decoder, Network { file, input: "image", cols: FEATURES, outputs }]
}
