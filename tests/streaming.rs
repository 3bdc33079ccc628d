//! Data that are streamed to a device, and images that are augmented there.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::gpu;
use std::path::Path;
use vae_gpu::backend::cpu::Cpu;
use vae_gpu::backend::gpu::GpuOptions;
use vae_gpu::backend::{Data, Device, Values as Held};
use vae_gpu::config::{Binarise, TrainConfig};
use vae_gpu::data::{Dataset, ImageSize, Images, Values};
use vae_gpu::graph::{Graph, ParameterLayout};
use vae_gpu::models::Model;
use vae_gpu::ops::{Augment, Augmentation};
use vae_gpu::plan::{Options, compile};
use vae_gpu::ranks::Alone;
use vae_gpu::rng::Stream;
use vae_gpu::step::Step;
use vae_gpu::tensor::{DType, Shape};
use vae_gpu::train::evaluate::Request;
use vae_gpu::train::{Checkpoint, RunFolder, Trainer};

/// More than a MiB of bytes, in 4001 examples of 15 x 20; every fourth as many reals.
fn dataset(reals: bool) -> Dataset {
    let set = |count: usize| {
        let bytes = (0..count * 300).map(|i| (i * 37 % 251 + i / 300 % 5) as u8);
        let pixels = match reals {
            false => Values::Bytes(bytes.collect()),
            true => Values::Reals(bytes.map(|byte| f32::from(byte) / 255.0).collect()),
        };
        Images::new(ImageSize::grey(15, 20), pixels)
    };
    let (train, test) = if reals { (1001, 77) } else { (4001, 3601) };
    Dataset::new("stripes", set(train), set(test))
}

/// The checkpoint's bytes and the losses of a run, and whether its data were streamed.
fn train(device: &dyn Device, data: &Dataset, config: &TrainConfig, folder: &Path) -> (Vec<u8>, Vec<f64>, bool) {
    let run = RunFolder::create(folder, config).unwrap();
    let options = device.options();
    let mut trainer = Trainer::new(config, data, device, options, None).unwrap();
    let streamed = trainer.is_streamed();
    trainer.run(&run, &mut ()).unwrap();
    let losses =
        run.metrics().unwrap().iter().flat_map(|line| line.losses.values().copied().collect::<Vec<_>>()).collect();
    (std::fs::read(run.checkpoint("last")).unwrap(), losses, streamed)
}

type Change = fn(&mut TrainConfig);
const GREY: Change = |_| {};
const DRAWN: Change = |config| config.binarise = Binarise::Bernoulli;
const AUGMENTED: Change = |config| config.augment = Some(Augmentation { shift: 2, flip: true });

fn streamed_runs_are_resident_ones(device: &dyn Device, cases: &[(bool, Change)]) {
    let folder = tempfile::tempdir().unwrap();
    let base = TrainConfig { hidden: Some(vec![8]), latent: 2, batch_size: 96, epochs: 2, ..TrainConfig::default() };
    for (case, (reals, change)) in cases.iter().enumerate() {
        let data = dataset(*reals);
        let mut config = base.clone();
        change(&mut config);
        let at = |kind: &str| folder.path().join(format!("{case}-{kind}"));
        let (resident, losses, streamed) = train(device, &data, &config, &at("resident"));
        assert!(!streamed);
        config.resident_limit = Some(1);
        let (bytes, streamed_losses, streamed) = train(device, &data, &config, &at("streamed"));
        assert!(streamed, "case {case}: the limit was not kept");
        assert_eq!(streamed_losses, losses, "case {case}");
        assert!(bytes == resident, "case {case}: checkpoints differ");
    }
}

#[test]
fn streamed_runs_are_resident_ones_on_the_cpu() {
    let cases = [GREY, DRAWN, AUGMENTED].map(|change| [(false, change), (true, change)]).concat();
    streamed_runs_are_resident_ones(&Cpu::<f32>::new(), &cases);
}

#[test]
fn streamed_runs_are_resident_ones_on_the_gpu() {
    let Some(device) = gpu(GpuOptions::default()) else { return };
    streamed_runs_are_resident_ones(&device, &[(false, AUGMENTED), (true, DRAWN)]);
}

#[test]
fn evaluation_is_the_same_streamed() {
    let folder = tempfile::tempdir().unwrap();
    let (data, device) = (dataset(false), Cpu::<f32>::new());
    let mut config = TrainConfig { hidden: Some(vec![8]), latent: 2, epochs: 1, ..TrainConfig::default() };
    train(&device, &data, &config, folder.path());
    let checkpoint = Checkpoint::load(&folder.path().join("checkpoints/last.safetensors")).unwrap();
    let model = Model::new(checkpoint.header.model.clone()).unwrap();
    let mut evaluate = |limit| {
        config.resident_limit = limit;
        let (parameters, images) = (&checkpoint.parameters[..], &data.test);
        let request =
            Request { model: &model, parameters, config: &config, images, samples: 2, densities: &[], ranks: &Alone };
        request.run(&device, Options::default(), |_| {}).unwrap()
    };
    assert_eq!(evaluate(None), evaluate(Some(1)));
}

#[test]
fn a_batch_that_does_not_fit_is_refused() {
    let config = TrainConfig { batch_size: 4000, resident_limit: Some(1), ..TrainConfig::default() };
    let data = dataset(false);
    let refused = Trainer::new(&config, &data, &Cpu::<f32>::new(), Options::default(), None);
    let error = refused.err().unwrap();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("1200000 bytes") && error.to_string().contains("--batch-size"), "{error}");
}

#[test]
fn data_are_replaced_by_their_like_alone() {
    let check = |device: &dyn Device| {
        let data = Data { shape: Shape::new(2, 4), values: Held::Bytes(&[0; 8]) };
        let mut session = device.session(&ParameterLayout::default(), &[data]).unwrap();
        session.write_data(0, Held::Bytes(&[1; 8])).unwrap();
        for (index, values) in [(1, Held::Bytes(&[1; 8][..])), (0, Held::Bytes(&[1; 9])), (0, Held::Reals(&[1.0]))] {
            assert!(session.write_data(index, values).is_err());
        }
        assert_eq!(DType::U8, data.dtype());
    };
    check(&Cpu::<f32>::new());
    if let Some(device) = gpu(GpuOptions::default()) {
        check(&device);
    }
}

/// Every example of a step, augmented on the f64 path: images of 3 x 4, whose pixels are numbered from 1.
fn augmented(augmentation: Augmentation, channels: usize) -> Vec<Vec<f64>> {
    let features = 12 * channels;
    let mut g = Graph::new(ParameterLayout::default());
    let x = g.input("x", Shape::new(200, features));
    let op = Augment { augmentation, height: 3, width: 4, channels, stream: Stream::Augmentation };
    let y = g.apply(op.into(), &[x]).unwrap();
    g.output("y", y);
    let device = Cpu::<f64>::new();
    let mut session = device.session(&ParameterLayout::default(), &[]).unwrap();
    let program = session.load(compile(&g, Options::default()).unwrap()).unwrap();
    let image: Vec<f32> = (1..=features).map(|value| value as f32).collect();
    session.write_input(program, "x", &image.repeat(200)).unwrap();
    session.run(&[program], &[Step { rows: 200, seed: 3, ..Step::default() }]).unwrap();
    let y = session.read_output(program, "y").unwrap();
    y.chunks(features).map(|row| row.iter().map(|&value| f64::from(value)).collect()).collect()
}

#[test]
fn images_move_as_a_whole_and_every_way() {
    let shift = Augmentation { shift: 1, flip: false };
    let mut moves = std::collections::BTreeMap::new();
    for image in augmented(shift, 1) {
        // Where pixel 6, of row 1 and column 1, went; all others went with it.
        let at = image.iter().position(|&value| value == 6.0).unwrap();
        let (down, right) = (at as i64 / 4 - 1, at as i64 % 4 - 1);
        for (to, &value) in image.iter().enumerate() {
            let (row, col) = (to as i64 / 4 - down, to as i64 % 4 - right);
            let inside = (0..3).contains(&row) && (0..4).contains(&col);
            assert_eq!(value, if inside { (row * 4 + col + 1) as f64 } else { 0.0 });
        }
        *moves.entry((down, right)).or_insert(0) += 1;
    }
    assert_eq!(moves.len(), 9, "{moves:?}");
    assert!(moves.values().all(|&count| count > 8), "200 draws of 9 moves: {moves:?}");
}

#[test]
fn images_are_mirrored_half_the_time_with_their_colours() {
    let flip = Augmentation { shift: 0, flip: true };
    let images = augmented(flip, 3);
    let mirrored: Vec<f64> = (0..36).map(|i| (i / 12 * 12 + (3 - i % 12 / 3) * 3 + i % 3 + 1) as f64).collect();
    let plain: Vec<f64> = (1..=36).map(f64::from).collect();
    let count = images.iter().filter(|image| **image == mirrored).count();
    assert!(images.iter().all(|image| *image == mirrored || *image == plain));
    assert!((70..130).contains(&count), "{count} of 200");
}
